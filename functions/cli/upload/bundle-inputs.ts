/**
 * Finds the files that a function's bundle is made of, by bundling it without keeping the result.
 */
import { existsSync, realpathSync } from "node:fs";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { formatMessages, type PartialMessage } from "esbuild";
import { bundle } from "../../bundler/bundle.ts";
import { type Bundle, BundleError } from "../../bundler/entry-build.ts";
import { CliError } from "../failure.ts";

/** An import as it is written and the file it led to. */
export interface ImportEdge {
  importer: string;
  specifier: string;
  resolved: string;
}

/** All paths are absolute and free of symbolic links. */
export interface BundleInputs {
  entry: string;
  files: string[];
  imports: ImportEdge[];
  /** As esbuild formats them. */
  warnings: string[];
}

export interface FormatOptions {
  color: boolean;
  terminalWidth: number;
}

/** Facts about a function that decide over its bundle. */
export interface BundleFacts {
  /** Free of symbolic links. */
  directory: string;
  /** Absolute. */
  entry: string;
  external: readonly string[];
  nodeEnv: string;
  /** Bundles in esbuild's place. */
  esbuild?: Bundle | undefined;
}

/**
 * Bundles a function as the worker will, and reports what went in.
 * @throws CliError of kind `build` with esbuild's own text: file, line, column and the source line.
 */
export async function findBundleInputs(facts: BundleFacts, format: FormatOptions): Promise<BundleInputs> {
  const { directory, external, nodeEnv, esbuild } = facts;
  const request = { root: directory, directory: "", external, nodeEnv, filesOnly: true };
  const real = realpathSync(facts.entry);
  const entry = relative(directory, real).split(sep).join("/");
  try {
    const { files, imports, warnings } = await bundle({ ...request, entry }, esbuild);
    const absolute = (path: string) => fileOf(directory, path);
    return {
      entry: real,
      files: files.map(absolute),
      imports: imports.map(({ importer, specifier, resolved }) => ({
        importer: absolute(importer),
        specifier,
        resolved: absolute(resolved),
      })),
      warnings: await formatMessages(warnings, { kind: "warning", ...format }),
    };
  } catch (error) {
    if (error instanceof BundleError) throw await buildError(directory, error.errors, format);
    throw error;
  }
}

/** @throws CliError when there is no such file: esbuild writes a backslash in a name as a slash. */
function fileOf(directory: string, path: string): string {
  const file = isAbsolute(path) ? path : resolve(directory, path);
  if (existsSync(file)) return file;
  throw new CliError("config", `the file that esbuild calls ${JSON.stringify(path)} cannot be uploaded`, {
    code: "BAD_SOURCE_PATH",
    hint: "rename it if it has a backslash in its name; a file inside an archive (Yarn's zip) must be unpacked",
  });
}

async function buildError(
  directory: string,
  errors: readonly PartialMessage[],
  format: FormatOptions,
): Promise<CliError> {
  const text = (await formatMessages([...errors], { kind: "error", ...format })).join("").trimEnd();
  const missing = errors.some(({ text = "" }) => /^Could not resolve "[^./]/.test(text));
  const uninstalled = existsSync(resolve(directory, "package.json")) && !existsSync(resolve(directory, "node_modules"));
  return new CliError("build", text, {
    code: "BUILD_FAILED",
    ...(missing &&
      uninstalled && { hint: "the packages in package.json are not installed: run npm install there first" }),
  });
}
