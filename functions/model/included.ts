/** The files that lie beside a bundle, in the directory of their function. */
import { posix } from "node:path";
import { formatBytes } from "../../infra/std/bytes.ts";
import { MAX_INCLUDED_BYTES, MAX_INCLUDED_FILES } from "./bundling.ts";
import { SandpiperError } from "./errors.ts";
import type { SourceTreeFile } from "./sources.ts";

/**
 * The files with these paths, by their paths below the function's directory. Where several have one
 * path the last one counts.
 * @throws SandpiperError INVALID_SOURCE when a path is not that of a file, or leads out of the
 * directory
 */
export function includedFiles(
  files: readonly SourceTreeFile[],
  directory: string,
  paths: readonly string[],
): SourceTreeFile[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  return [...new Set(paths)].map((path) => {
    const file = byPath.get(path);
    if (file === undefined) throw invalid(`${JSON.stringify(path)} is to be included, and is not among the files`);
    const inside = posix.relative(directory, path);
    if (inside.startsWith("../")) throw invalid(`${JSON.stringify(path)} is outside of the function's directory`);
    return { path: inside, bytes: file.bytes };
  });
}

/** @throws SandpiperError INVALID_SOURCE when there are too many, or too many bytes of them */
export function checkIncluded(files: readonly SourceTreeFile[]): void {
  const bytes = files.reduce((sum, file) => sum + file.bytes.byteLength, 0);
  if (files.length <= MAX_INCLUDED_FILES && bytes <= MAX_INCLUDED_BYTES) return;
  const most = `${MAX_INCLUDED_FILES} files and ${formatBytes(MAX_INCLUDED_BYTES)} are the most`;
  throw invalid(`${files.length} included files with ${formatBytes(bytes)}: ${most}`);
}

function invalid(what: string): SandpiperError {
  return new SandpiperError("INVALID_SOURCE", { message: `The files beside the bundle cannot be used: ${what}.` });
}
