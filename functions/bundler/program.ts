/**
 * The bundler as a program: runs in a sandbox with the uploaded tree, read-only, and nothing else.
 * Its standard input is what to bundle, as JSON; its result goes to the standard output.
 */
import { isAbsolute } from "node:path";
import { text } from "node:stream/consumers";
import { formatMessages, type PartialMessage, stop, transform } from "esbuild";
import { type BundlerResult, encodeBundlerResult } from "../model/bundle-output.ts";
import { bundle, type FunctionBundle } from "./bundle.ts";
import { BundleError, type BundleRequest } from "./entry-build.ts";

const LEADS_OUTSIDE =
  'An import, or the "extends" or "paths" of a tsconfig.json, leads outside the uploaded files. ' +
  "Only files of the function's own directory and its packages can be part of the bundle.";

async function run(request: BundleRequest): Promise<BundlerResult> {
  try {
    const bundled = await bundle(request);
    // The kernel keeps the host's files away; what is left outside the tree is the sandbox's own,
    // and nobody's function may contain it either.
    if (bundled.files.some(isOutside) || bundled.warnings.some(isOfOutside)) return { refusal: LEADS_OUTSIDE };
    return await resultOf(bundled);
  } catch (error) {
    if (!(error instanceof BundleError)) throw error;
    if (error.errors.some(isOfOutside)) return { refusal: LEADS_OUTSIDE };
    return { refusal: (await formatted("error", error.errors)).join("").trim() };
  }
}

async function resultOf({ code, sourceMap, threads, contents, warnings }: FunctionBundle): Promise<BundlerResult> {
  const encoder = new TextEncoder();
  return {
    code: encoder.encode(code),
    sourceMap: encoder.encode(sourceMap),
    threads: threads.map(({ path, code }) => ({ path, bytes: encoder.encode(code) })),
    contents,
    warnings: (await formatted("warning", warnings)).map((text) => text.trim()),
  };
}

function formatted(kind: "error" | "warning", messages: readonly PartialMessage[]): Promise<string[]> {
  return formatMessages([...messages], { kind, color: false });
}

function isOfOutside({ location }: PartialMessage): boolean {
  return isOutside(location?.file ?? "");
}

function isOutside(path: string): boolean {
  return path.startsWith("../") || (isAbsolute(path) && !path.startsWith(`${root}/`));
}

async function main(): Promise<void> {
  // esbuild's own process starts while nothing is known yet.
  const warm = transform("");
  const request = JSON.parse(await text(process.stdin)) as BundleRequest;
  ({ root } = request);
  await warm;
  const result = await run(request);
  process.stdout.write(encodeBundlerResult(result));
  await stop();
}

let root = "";
void main();
