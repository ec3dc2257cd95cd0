/**
 * Imports as people write them that esbuild does not know: queries (`./a.svg?raw`), WebAssembly
 * modules, and what must be refused or put off with words that help.
 */
import { readFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import type { Loader, OnLoadResult, OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from "esbuild";
import { addonError, packageNameIn, urlAdvice } from "./advice.ts";
import { type Format, isProgram } from "./module-kind.ts";
import { compiledWasm, initWasm, wasmModule } from "./wasm.ts";

/** Queries at the end of an import, and what is made of the file. */
const QUERIES: Record<string, Loader | "module" | "init"> = {
  raw: "text",
  bytes: "binary",
  url: "dataurl",
  inline: "dataurl",
  module: "module",
  init: "init",
};
const QUERY = new RegExp(`\\?(${Object.keys(QUERIES).join("|")})$`);

/** Beginning of the names of plugin's namespaces, which esbuild puts before a path in messages. */
export const NAMESPACE = "sandpiper-";
/** Namespace of native addons. */
export const ADDON = `${NAMESPACE}addon`;

/** The entry, and the format that it is bundled in. */
export interface EntryFacts {
  /** Absolute path. */
  file: string;
  format: Format;
}

/**
 * The plugin for a bundle of that entry. It keeps nothing from one bundle to the next, so that a
 * context of esbuild's may have it for many.
 */
export function importsPlugin(entry: EntryFacts): Plugin {
  return {
    name: "sandpiper",
    setup(build) {
      build.onResolve({ filter: /^(?:https?|npm|jsr|bun|deno):/ }, ({ path }) => refused(urlAdvice(path)));
      build.onResolve({ filter: /^node:/ }, ({ path }) => builtin(path));
      build.onResolve({ filter: QUERY }, (args) => resolveQuery(build, args));
      build.onResolve({ filter: /\.node$/ }, ({ path, importer }) => ({
        path,
        namespace: ADDON,
        pluginData: packageNameIn(importer),
      }));
      build.onLoad({ filter: /^/, namespace: ADDON }, ({ path, pluginData }) => addonStub(path, pluginData));
      for (const query of Object.keys(QUERIES))
        build.onLoad({ filter: /^/, namespace: NAMESPACE + query }, ({ path }) => loadQuery(path, query));
      build.onLoad({ filter: /\.wasm$/ }, ({ path, with: attributes }) =>
        attributes.type === undefined ? wasmModule(build, path) : null,
      );
      build.onLoad({ filter: exactly(entry.file) }, () => loadEntry(entry));
    },
  };
}

function refused(text: string): OnResolveResult {
  return { errors: [{ text }] };
}

function builtin(path: string): OnResolveResult {
  if (isBuiltin(path)) return { path, external: true };
  return refused(`Node 24 has no module "${path}"`);
}

async function resolveQuery(build: PluginBuild, { path, ...from }: OnResolveArgs): Promise<OnResolveResult> {
  const query = QUERY.exec(path)?.[1] as string;
  const plain = path.slice(0, -query.length - 1);
  const { importer, resolveDir, kind } = from;
  const found = await build.resolve(plain, { importer, resolveDir, kind });
  if (found.errors.length > 0) return { errors: found.errors };
  if (found.external || found.namespace !== "file") return refused(`"${path}" leads to no file`);
  return { path: found.path, namespace: NAMESPACE + query };
}

async function loadQuery(path: string, query: string): Promise<OnLoadResult> {
  const loader = QUERIES[query] as Loader | "module" | "init";
  if (loader === "module") return compiledWasm(path);
  if (loader === "init") return initWasm(path);
  return { contents: await readFile(path), loader };
}

/** Fails where it is loaded: many packages go on without their addon then. */
function addonStub(path: string, packageName: string | null): OnLoadResult {
  const message = JSON.stringify(addonError(path, packageName));
  return { contents: `throw Object.assign(new Error(${message}), { code: "ERR_DLOPEN_FAILED" });`, loader: "js" };
}

/** The entry's text, in the same number of characters and lines. */
async function loadEntry({ file, format }: EntryFacts): Promise<OnLoadResult> {
  const text = (await readFile(file, "utf8")).replace(/^(\ufeff?)#!/, "$1//");
  const contents = isProgram(text, format) ? text.replace(/\brequire\.main\b/g, "module      ") : text;
  return { contents, loader: "default" };
}

/** An expression of Go's that one path fits, and no other. */
function exactly(path: string): RegExp {
  return new RegExp(`^${path.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")}$`);
}
