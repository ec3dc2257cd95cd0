/** The source line that a stack trace leads to. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { MIB } from "../../../infra/std/bytes.ts";
import { sourceFrame } from "../config/source-frame.ts";

const MAX_SOURCE_BYTES = 4 * MIB;
const PLACE = /(?:^|[\s(])((?:[^\s():]+\/)*[^\s():/]+\.[a-z]+):(\d+):(\d+)/gim;

/** The files that were deployed. */
export interface SourceFiles {
  /** The directory that paths are relative to, as places in stack traces are. */
  root: string;
  paths: ReadonlySet<string>;
}

/**
 * The first place in the function's own files that the text names, with its line; null when it
 * names none. A function writes its log itself, so no other file is read.
 */
export function sourceOf(text: string, { root, paths }: SourceFiles): string | null {
  for (const [, path = "", line = "", column = ""] of text.matchAll(PLACE)) {
    if (!paths.has(path) || path.includes("node_modules/")) continue;
    const source = sourceText(join(root, path));
    const offset = source === null ? null : offsetOf(source, Number(line), Number(column));
    if (source !== null && offset !== null) return `${path}:${line}:${column}\n${sourceFrame(source, offset, 1)}`;
  }
  return null;
}

function sourceText(file: string): string | null {
  try {
    const stat = statSync(file);
    return stat.isFile() && stat.size <= MAX_SOURCE_BYTES ? readFileSync(file, "utf8") : null;
  } catch {
    return null;
  }
}

function offsetOf(text: string, line: number, column: number): number | null {
  let start = 0;
  for (let at = 1; at < line; at++) {
    start = text.indexOf("\n", start) + 1;
    if (start === 0) return null;
  }
  return start + column - 1;
}
