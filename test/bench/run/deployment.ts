/** Deploys functions as the CLI does, without starting it each time. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Platform } from "../../helpers/platform.ts";
import { type Built, Planter } from "./planted.ts";

const HELLO = resolve(import.meta.dirname, "../../../functions/examples/hello");
const CONFIG = { memoryMiB: 128, timeoutMs: 5_000, env: { GREETING: "Hello" } };

/**
 * Deploys a function of these files; a text is its index.ts.
 * @returns the function's URL on the host of all. @throws Error with what the gateway said
 */
export async function deployFiles(
  platform: Platform,
  name: string,
  files: string | Record<string, string>,
  config: Record<string, unknown> = {},
): Promise<string> {
  const all = Object.entries(typeof files === "string" ? { "index.ts": files } : files);
  const response = await platform.api(`/v1/functions/${name}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      config: { name, ...CONFIG, ...config },
      entry: "index.ts",
      // A version that was loaded before its first call would have no cold one.
      check: false,
      files: all.map(([path, text]) => ({ path, contentBase64: Buffer.from(text).toString("base64") })),
    }),
  });
  const answer = (await response.json()) as { sharedUrl?: string };
  if (!response.ok || answer.sharedUrl === undefined) throw new Error(`deploy of ${name}: ${JSON.stringify(answer)}`);
  return answer.sharedUrl;
}

/** The example `hello` as the first platform of this process built it. */
let hello: Promise<Built> | undefined;

/**
 * Deploys the example `hello` under its name. It is built once, as the platforms of a run would all
 * make the same of it.
 */
export async function deployHello(platform: Platform): Promise<string> {
  const planter = new Planter(platform);
  const planting = { tenant: "main", name: "hello" };
  if (hello !== undefined) return planter.plantBuilt(await hello, planting);
  const url = await deployFiles(platform, "hello", readHello());
  hello = planter.builtOf("hello");
  await hello;
  return url;
}

/** The source of the example `hello`. */
export function readHello(): string {
  return readFileSync(join(HELLO, "index.ts"), "utf8");
}
