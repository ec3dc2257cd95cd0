/** Deploys functions as the CLI does, without starting it each time. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Platform } from "../helpers/platform.ts";

const HELLO = resolve(import.meta.dirname, "../../functions/examples/hello");
const CONFIG = { memoryMiB: 128, timeoutMs: 5_000, env: { GREETING: "Hello" } };

/**
 * Deploys the example `hello` under this name, with an export of its own, so that its bundle is like no other.
 * @returns the function's URL. @throws Error with what the gateway said
 */
export async function deployHello(platform: Platform, name: string): Promise<string> {
  const source = `${readFileSync(join(HELLO, "index.ts"), "utf8")}\nexport const id = ${JSON.stringify(name)};\n`;
  const files = [{ path: "index.ts", contentBase64: Buffer.from(source).toString("base64") }];
  const response = await platform.api(`/v1/functions/${name}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ config: { name, ...CONFIG }, entry: "index.ts", files }),
  });
  const answer = (await response.json()) as { url?: string };
  if (!response.ok || answer.url === undefined) throw new Error(`deploy of ${name}: ${JSON.stringify(answer)}`);
  return answer.url;
}
