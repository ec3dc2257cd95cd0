/**
 * Finds the files that a function's bundle is made of, by bundling it without keeping the result.
 */
import { existsSync } from "node:fs";
import { isAbsolute, relative, resolve } from "node:path";
import { type BuildFailure, build, formatMessages, type Message, type Metafile } from "esbuild";
import { BUNDLE_OPTIONS } from "../../model/bundling.ts";
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

/** Bundles as esbuild's `build` does: that itself, or one that keeps what it parsed before. */
export type Bundle = typeof build;

export interface FormatOptions {
  color: boolean;
  terminalWidth: number;
}

/**
 * Bundles a function as the worker will, and reports what went in. `directory` must be free of
 * symbolic links.
 * @throws CliError of kind `build` with esbuild's own text: file, line, column and the source line.
 */
export async function findBundleInputs(
  directory: string,
  entry: string,
  format: FormatOptions,
  bundle: Bundle = build,
): Promise<BundleInputs> {
  const result = await bundle({
    ...BUNDLE_OPTIONS,
    loader: { ...BUNDLE_OPTIONS.loader },
    absWorkingDir: directory,
    // Relative, as a "*" in a directory's name would make a pattern of an absolute one.
    entryPoints: [`./${relative(directory, entry)}`],
    outfile: "bundle.mjs",
    logLevel: "silent",
    metafile: true,
    write: false,
  }).catch(async (failure: BuildFailure) => {
    if (!Array.isArray(failure.errors) || failure.errors.length === 0) throw failure;
    throw await buildError(directory, failure.errors, format);
  });
  return {
    ...readMetafile(directory, result.metafile),
    warnings: await formatMessages(result.warnings, { kind: "warning", ...format }),
  };
}

function readMetafile(directory: string, metafile: Metafile): Omit<BundleInputs, "warnings"> {
  const absolute = (path: string) => fileOf(directory, path);
  const files = Object.keys(metafile.inputs).flatMap((path) => absolute(path) ?? []);
  const imports = Object.entries(metafile.inputs).flatMap(([path, input]) => {
    const importer = absolute(path);
    if (importer === null) return [];
    return input.imports.flatMap(({ path: target, original, external }) => {
      const resolved = external ? null : absolute(target);
      return resolved === null || original === undefined ? [] : [{ importer, specifier: original, resolved }];
    });
  });
  const output = Object.values(metafile.outputs)[0];
  const entry = absolute(output?.entryPoint ?? "");
  if (entry === null) throw new Error("esbuild reported a bundle without an entry point");
  return { entry, files, imports };
}

/**
 * The file behind an input's name, or null for one that is none, such as a data URL.
 * @throws CliError when there is no such file: esbuild writes a backslash in a file's name as a
 * slash.
 */
function fileOf(directory: string, name: string): string | null {
  const path = name.replace(/^\(disabled\):/, "");
  if (path === "" || /^<|^[a-z-]+:/.test(path)) return null;
  const file = isAbsolute(path) ? path : resolve(directory, path);
  if (existsSync(file)) return file;
  throw new CliError("config", `the file that esbuild calls ${JSON.stringify(path)} cannot be uploaded`, {
    code: "BAD_SOURCE_PATH",
    hint: "rename it if it has a backslash in its name; a file inside an archive (Yarn's zip) must be unpacked",
  });
}

async function buildError(directory: string, errors: Message[], format: FormatOptions): Promise<CliError> {
  const text = (await formatMessages(errors, { kind: "error", ...format })).join("").trimEnd();
  const missing = errors.some(({ text }) => /^Could not resolve "[^./]/.test(text));
  const uninstalled = existsSync(resolve(directory, "package.json")) && !existsSync(resolve(directory, "node_modules"));
  return new CliError("build", text, {
    code: "BUILD_FAILED",
    ...(missing &&
      uninstalled && { hint: "the packages in package.json are not installed: run npm install there first" }),
  });
}
