/**
 * What the bundler writes: a line of JSON, and the bytes that it announces. The bundler runs in a
 * sandbox on a stranger's sources, so that whoever reads this believes nothing of it.
 */
import { type BundleContents, contentsFrom } from "./bundle-contents.ts";
import { pathProblem } from "./sources.ts";

const MAX_WARNINGS = 20;
/** Longest text of errors or of one warning that is passed on. */
const MAX_MESSAGE_LENGTH = 16 * 1024;
/** Most modules of threads that one function has. */
export const MAX_THREADS = 64;

/** A result of the bundler's: a bundle, or why there is none. */
export type BundlerResult =
  | {
      code: Uint8Array;
      /** JSON, as esbuild made it. */
      sourceMap: Uint8Array;
      /** Modules of threads, to be put beside the bundle: by paths below the root. */
      threads: { path: string; bytes: Uint8Array }[];
      contents: BundleContents;
      warnings: string[];
    }
  | { refusal: string };

interface Head {
  codeBytes: number;
  mapBytes: number;
  threads: { path: string; bytes: number }[];
  contents?: unknown;
  warnings: string[];
}

/** The bytes of a result. */
export function encodeBundlerResult(result: BundlerResult): Buffer {
  if ("refusal" in result) return Buffer.from(`${JSON.stringify({ refusal: shorten(result.refusal) })}\n`);
  const { code, sourceMap, threads, contents } = result;
  const head = {
    codeBytes: code.byteLength,
    mapBytes: sourceMap.byteLength,
    threads: threads.map(({ path, bytes }) => ({ path, bytes: bytes.byteLength })),
    contents,
    warnings: result.warnings.slice(0, MAX_WARNINGS).map(shorten),
  };
  return Buffer.concat([
    Buffer.from(`${JSON.stringify(head)}\n`),
    code,
    sourceMap,
    ...threads.map(({ bytes }) => bytes),
  ]);
}

/** The result that the bytes are; null when they are none. Parts share memory with `bytes`. */
export function decodeBundlerResult(bytes: Buffer): BundlerResult | null {
  const end = bytes.indexOf("\n");
  const head = parsed(bytes.toString("utf8", 0, Math.max(0, end)));
  if (isRefusal(head)) return { refusal: shorten(head.refusal) };
  if (!isHead(head)) return null;
  const contents = contentsFrom(head.contents);
  if (contents === null) return null;
  let at = end + 1;
  const take = (length: number) => {
    const taken = bytes.subarray(at, at + length);
    at += length;
    return taken;
  };
  const [code, sourceMap] = [take(head.codeBytes), take(head.mapBytes)];
  const threads = head.threads.map(({ path, bytes: length }) => ({ path, bytes: take(length) }));
  if (at !== bytes.length) return null;
  const warnings = head.warnings.slice(0, MAX_WARNINGS).map(shorten);
  return { code, sourceMap, threads, contents, warnings };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRefusal(head: unknown): head is { refusal: string } {
  return isObject(head) && typeof head.refusal === "string";
}

function isHead(head: unknown): head is Head {
  if (!isObject(head) || !isLength(head.codeBytes) || !isLength(head.mapBytes)) return false;
  const { threads, warnings } = head;
  if (!Array.isArray(threads) || threads.length > MAX_THREADS || !Array.isArray(warnings)) return false;
  return threads.every(isThread) && warnings.every((warning) => typeof warning === "string");
}

function isThread(thread: unknown): boolean {
  return (
    isObject(thread) && isLength(thread.bytes) && typeof thread.path === "string" && pathProblem(thread.path) === null
  );
}

function isLength(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function shorten(text: string): string {
  return text.length <= MAX_MESSAGE_LENGTH ? text : `${text.slice(0, MAX_MESSAGE_LENGTH)}\n... (cut)`;
}
