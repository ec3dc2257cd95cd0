/**
 * The files of a deployment: exactly the files that the bundle needs, and those that decide how
 * imports resolve.
 */
import { readFile } from "node:fs/promises";
import { dirname, relative, sep } from "node:path";
import { formatMessages } from "esbuild";
import { formatBytes } from "../../../infra/std/bytes.ts";
import type { Bundle } from "../../bundler/entry-build.ts";
import { DEFAULT_NODE_ENV, MAX_INCLUDED_BYTES, MAX_INCLUDED_FILES } from "../../model/bundling.ts";
import type { FunctionConfig } from "../../model/manifest.ts";
import {
  entryProblem,
  MAX_SOURCE_BYTES,
  MAX_SOURCE_FILES,
  pathProblem,
  type SourceTreeFile,
} from "../../model/sources.ts";
import type { LoadedConfig } from "../config/config-file.ts";
import { CliError } from "../failure.ts";
import { type FormatOptions, findBundleInputs, type ImportEdge } from "./bundle-inputs.ts";
import { warningsOfReads } from "./file-reads.ts";
import { includedPaths } from "./included-paths.ts";
import { directoryPackageFiles, packageFiles, tsconfigFiles } from "./resolution-files.ts";
import { standIns } from "./symlinks.ts";

export interface Upload {
  /** Directory that the paths are relative to: the nearest that holds everything. */
  root: string;
  /** The entry file, relative to the root. */
  entry: string;
  /** The function's directory, relative to the root; "" when it is the root. */
  directory: string;
  /** The files that the function finds beside its bundle, relative to the root. */
  included: string[];
  /** In the order of their paths. */
  files: SourceTreeFile[];
  totalBytes: number;
  /** How the files lead to each other. */
  imports: ImportEdge[];
  /** As esbuild formats them. */
  warnings: string[];
}

/** The fields that decide over an upload, and how to tell what is wrong with one. */
export interface UploadConfig extends Pick<FunctionConfig, "include" | "external" | "env"> {
  wrongField?: LoadedConfig["wrongField"];
  /** Bundles in esbuild's place. */
  esbuild?: Bundle;
}

/**
 * Collects a function's files. `directory` must be free of symbolic links (realpath(3)); `entry` is
 * absolute.
 * @throws CliError of kind `build` when the function does not build, `config` when it is too large
 * to upload, or a pattern of `include` fits no file.
 */
export async function collectUpload(
  directory: string,
  entry: string,
  format: FormatOptions,
  { include = [], external = [], env: variables, wrongField, esbuild }: UploadConfig = { env: {} },
): Promise<Upload> {
  checkEntry(relative(directory, entry));
  const nodeEnv = variables.NODE_ENV ?? DEFAULT_NODE_ENV;
  const beside = await includedPaths(directory, include, (index, message, hint) =>
    wrongField === undefined
      ? new CliError("config", `"include" has ${JSON.stringify(include[index])}: ${message}`, {
          code: "CONFIG_INVALID",
          hint,
        })
      : wrongField(["include", index], message, hint),
  );
  const inputs = await findBundleInputs({ directory, entry, external, nodeEnv, esbuild }, format);
  const links = standIns(inputs.imports);
  const placed = [...inputs.files, ...tsconfigFiles(inputs.files), ...directoryPackageFiles(inputs.imports)];
  const root = commonDirectory([directory, ...placed.map(dirname), ...links.map(({ path }) => dirname(path))]);

  const read = new Set([...placed, ...packageFiles(placed, root), ...beside]);
  for (const { path } of links) read.delete(path);
  const relativePath = (path: string) => relative(root, path).split(sep).join("/");
  const files: SourceTreeFile[] = links.map(({ path, bytes }) => ({ path: relativePath(path), bytes }));
  for (const some of chunks([...read], READ_AT_ONCE)) {
    files.push(
      ...(await Promise.all(some.map(async (path) => ({ path: relativePath(path), bytes: await bytesOf(path) })))),
    );
  }
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  const totalBytes = files.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
  checkLimits(files, totalBytes);
  checkEntry(relativePath(inputs.entry));
  const included = beside.map(relativePath);
  const isIncluded = new Set(included);
  checkIncluded(files.filter(({ path }) => isIncluded.has(path)));
  const reads = warningsOfReads({ directory, files: inputs.files, included: beside });
  const warnings = [...inputs.warnings, ...(await formatMessages(reads, { kind: "warning", ...format }))];
  const place = { directory: relativePath(directory), included };
  const { imports } = inputs;
  return { root, entry: relativePath(inputs.entry), ...place, files, totalBytes, imports, warnings };
}

/** Files that are read at once. */
const READ_AT_ONCE = 32;

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

/** @throws CliError when the file is gone by now, or not to be read */
async function bytesOf(path: string): Promise<Buffer> {
  return await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new CliError("config", `${path} cannot be read (${error.code})`, { code: "UNREADABLE_FILE" });
  });
}

/** The deepest directory that holds all of these. */
function commonDirectory(directories: readonly string[]): string {
  const [first = sep, ...others] = directories;
  let common = first.split(sep);
  for (const other of others) {
    const parts = other.split(sep);
    const differs = common.findIndex((part, index) => part !== parts[index]);
    if (differs !== -1) common = common.slice(0, differs);
  }
  return common.join(sep) || sep;
}

/** @throws CliError when the bundler would not take the path for that of a file. */
function checkEntry(path: string): void {
  const problem = entryProblem(path);
  if (problem === null) return;
  throw new CliError("config", `the entry ${JSON.stringify(path)} ${problem}`, {
    code: "BAD_SOURCE_PATH",
    hint: "rename it, or import it from an entry with another name",
  });
}

/** @throws CliError when more would lie beside the bundle than may. */
function checkIncluded(files: readonly SourceTreeFile[]): void {
  const bytes = files.reduce((sum, file) => sum + file.bytes.byteLength, 0);
  if (files.length <= MAX_INCLUDED_FILES && bytes <= MAX_INCLUDED_BYTES) return;
  const most = `${MAX_INCLUDED_FILES} files and ${formatBytes(MAX_INCLUDED_BYTES)} are the most`;
  throw new CliError("config", `"include" means ${files.length} files with ${formatBytes(bytes)}; ${most}`, {
    code: "UPLOAD_TOO_LARGE",
    hint: 'make its patterns narrower, or leave files out with "!pattern"',
  });
}

const LARGEST_SHOWN = 10;

function checkLimits(files: readonly SourceTreeFile[], totalBytes: number): void {
  for (const { path } of files) {
    const problem = pathProblem(path);
    if (problem !== null) {
      throw new CliError("config", `the path ${JSON.stringify(path)} ${problem}`, {
        code: "BAD_SOURCE_PATH",
        hint: "rename it: such paths cannot be uploaded",
      });
    }
  }
  if (files.length <= MAX_SOURCE_FILES && totalBytes <= MAX_SOURCE_BYTES) return;
  const largest = files
    .toSorted((a, b) => b.bytes.byteLength - a.bytes.byteLength)
    .slice(0, LARGEST_SHOWN)
    .map(({ path, bytes }) => `  ${formatBytes(bytes.byteLength).padStart(10)}  ${path}`);
  const size = `${files.length} files with ${formatBytes(totalBytes)}`;
  const limit = `${MAX_SOURCE_FILES} files and ${formatBytes(MAX_SOURCE_BYTES)} are the most`;
  throw new CliError("config", `the function is too large: ${size}; ${limit}. The largest:\n${largest.join("\n")}`, {
    code: "UPLOAD_TOO_LARGE",
    hint: "import less, or fetch large data from elsewhere at run time",
  });
}
