/** A function's sources as what runs: its bundle, and one for each thread that it starts. */
import { existsSync, readFileSync } from "node:fs";
import { isAbsolute, join, posix } from "node:path";
import { build, type PartialMessage } from "esbuild";
import type { BundleContents } from "../model/bundle-contents.ts";
import { MAX_THREADS } from "../model/bundle-output.ts";
import { isNative, nativeAdvice, needsAddon, packageNameIn, packageOf } from "./advice.ts";
import { contentsOf, isNodes } from "./contents.ts";
import { type BuiltEntry, type Bundle, BundleError, type BundleRequest, buildEntry } from "./entry-build.ts";
import { RUNTIME_MODULES } from "./options.ts";
import { NAMESPACE } from "./plugin.ts";
import { workerEntries } from "./worker-entries.ts";

/** An import as it is written, and where it led. Paths are below the root, or absolute. */
export interface BundledImport {
  importer: string;
  specifier: string;
  resolved: string;
}

export interface FunctionBundle {
  code: string;
  /** JSON. */
  sourceMap: string;
  /** Files to be put beside the bundle: modules of threads. Paths are below the root. */
  threads: { path: string; code: string }[];
  /** All files that were read for it: below the root, or absolute where they lie elsewhere. */
  files: string[];
  imports: BundledImport[];
  contents: BundleContents;
  warnings: PartialMessage[];
}

/** Modules of Node's that are there, and whose work a sandbox does not let them do. */
const IDLE_BUILTINS: Record<string, string> = {
  child_process: "no other program can be started in a sandbox",
  cluster: "no other program can be started in a sandbox: several calls run in several instances by themselves",
};

/** Most packages that one warning lists. */
const MOST_LISTED = 20;

/**
 * Bundles a function and the threads that it starts, by esbuild or one that does the same.
 * @throws BundleError with esbuild's messages
 */
export async function bundle(request: BundleRequest, esbuild: Bundle = build): Promise<FunctionBundle> {
  const main = await buildEntry(request, esbuild);
  const threads = new Map<string, BuiltEntry>();
  for (let todo = workerEntries(request.root, filesOf([main])); todo.length > 0; ) {
    const path = todo.pop() as string;
    if (threads.has(path)) continue;
    checkPlace(request, path);
    const built = await buildEntry({ ...request, entry: path }, esbuild);
    threads.set(path, built);
    if (threads.size > MAX_THREADS)
      throw new BundleError([{ text: `More than ${MAX_THREADS} modules are those of threads.` }]);
    todo = [...todo, ...workerEntries(request.root, filesOf([built]))];
  }
  const all = [main, ...threads.values()];
  const { code, sourceMap } = main;
  return {
    code,
    sourceMap,
    threads: [...threads].map(([path, built]) => ({ path, code: withMap(built) })),
    files: filesOf(all),
    imports: all.flatMap(importsOf),
    contents: contentsOf(all),
    warnings: [...all.flatMap(({ warnings }) => warnings), ...warningsOf(request, all)],
  };
}

/** A thread's module is a file of its own in the sandbox, so it brings its source map along. */
function withMap({ code, sourceMap }: BuiltEntry): string {
  return `${code}//# sourceMappingURL=data:application/json;base64,${Buffer.from(sourceMap).toString("base64")}\n`;
}

function checkPlace({ directory }: BundleRequest, path: string): void {
  if (!posix.relative(directory, path).startsWith("..")) return;
  const text = `The module "${path}" of a Worker is outside of the function's directory: keep it in there.`;
  throw new BundleError([{ text }]);
}

/** The file behind an input's name; null for one that is none, such as a data URL. */
function fileOf(name: string): string | null {
  const path = name
    .replace(/^\(disabled\):/, "")
    .replace(/ with \{ type: '\w+' \}$/, "")
    .replace(new RegExp(`^${NAMESPACE}(?!addon)\\w+:`), "");
  return path === "" || /^<|^[a-z-]+:/.test(path) ? null : path;
}

function filesOf(built: readonly BuiltEntry[]): string[] {
  const names = built.flatMap(({ metafile }) => Object.keys(metafile.inputs));
  return [...new Set(names.flatMap((name) => fileOf(name) ?? []))];
}

function importsOf({ metafile }: BuiltEntry): BundledImport[] {
  return Object.entries(metafile.inputs).flatMap(([name, { imports }]) => {
    const importer = fileOf(name);
    if (importer === null) return [];
    return imports.flatMap(({ path, original, external }) => {
      const resolved = external ? null : fileOf(path);
      if (resolved === null || original === undefined) return [];
      return [{ importer, specifier: original.replace(/\?\w+$/, ""), resolved }];
    });
  });
}

function warningsOf(request: BundleRequest, all: readonly BuiltEntry[]): PartialMessage[] {
  const texts = [...missingWarnings(request, all), ...nativeWarnings(request, all), ...idleWarnings(all)];
  return [...new Set(texts)].map((text) => ({ text }));
}

/** Imports that nothing was found for, and that fail where they are called. */
function missingWarnings({ external }: BundleRequest, all: readonly BuiltEntry[]): string[] {
  const left = outerImports(all)
    .filter(({ kind }) => kind === "require-call" || kind === "dynamic-import")
    .map(({ path }) => path)
    .filter((path) => !isKnown(path) && !external.includes(packageOf(path)));
  const names = [...new Set([...left, ...all.flatMap(({ missing }) => missing)])].sort();
  if (names.length === 0) return [];
  const more = names.length > MOST_LISTED ? ` and ${names.length - MOST_LISTED} more` : "";
  return [
    `Not installed, so that what imports them fails when it is called: ${names.slice(0, MOST_LISTED).join(", ")}${more}`,
  ];
}

/** Imports that lead out of the bundle, with the file that has them. */
function outerImports(all: readonly BuiltEntry[]) {
  return all.flatMap(({ metafile }) =>
    Object.entries(metafile.inputs).flatMap(([importer, { imports }]) =>
      imports.filter(({ external }) => external).map(({ path, kind }) => ({ importer, path, kind })),
    ),
  );
}

function isKnown(path: string): boolean {
  const isOfRuntime = path.startsWith("cloudflare:") || RUNTIME_MODULES.includes(path);
  return path.startsWith("<") || isOfRuntime || isNodes(path);
}

function nativeWarnings({ root }: BundleRequest, all: readonly BuiltEntry[]): string[] {
  const packages = new Map<string, string>();
  const note = (file: string) => {
    const name = packageNameIn(`/${file}`);
    if (name !== null) packages.set(name, file.slice(0, file.lastIndexOf(`node_modules/${name}`)));
  };
  for (const file of filesOf(all)) note(file);
  const native = [...packages].filter(([name, above]) => isNative(name, manifestOf(root, above, name)));
  const addons = all.flatMap((built) => built.addons);
  const owners = addons.flatMap(({ importer }) => packageNameIn(`/${importer}`) ?? []).filter(needsAddon);
  const ours = addons.filter(({ importer }) => packageNameIn(`/${importer}`) === null);
  const names = new Set([...native.map(([name]) => name), ...owners]);
  return [
    ...[...names].sort().map((name) => nativeAdvice(name)),
    ...ours.map(({ specifier }) => `"${specifier}" is native code, which no sandbox loads: compile it to WebAssembly`),
  ];
}

function manifestOf(root: string, above: string, name: string): unknown {
  const directory = isAbsolute(above) ? above : join(root, above);
  const file = join(directory, "node_modules", name, "package.json");
  try {
    return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : null;
  } catch {
    return null; // esbuild complains about it.
  }
}

function idleWarnings(all: readonly BuiltEntry[]): string[] {
  return outerImports(all).flatMap(({ importer, path }) => {
    const name = path.replace(/^node:/, "");
    if (packageNameIn(`/${importer}`) !== null || !Object.hasOwn(IDLE_BUILTINS, name)) return [];
    return [`${importer} imports "${path}": ${IDLE_BUILTINS[name]}`];
  });
}
