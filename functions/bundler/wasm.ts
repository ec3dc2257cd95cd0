/**
 * WebAssembly as modules: the compiled module as the default export, as on other platforms, and
 * what an instance of it exports by name (the ES module integration of WebAssembly), where all that
 * it imports is there to be imported.
 */
import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { OnLoadResult, PluginBuild } from "esbuild";

const INIT = "export default async (imports) => new WebAssembly.Instance(wasm, imports);";

/** A module whose default export is the compiled WebAssembly, and nothing else. */
export function compiledWasm(path: string): OnLoadResult {
  return loaded(path, "export default wasm;");
}

/** A module whose default export makes an instance, given what it imports. */
export function initWasm(path: string): OnLoadResult {
  return loaded(path, INIT);
}

/**
 * A module with the compiled WebAssembly as its default export, and the exports of its instance. It
 * has no instance where an import leads nowhere, as `env` and WASI do: who gives those makes an
 * instance of the default export. esbuild drops an instance that nobody uses.
 */
export async function wasmModule(build: PluginBuild, path: string): Promise<OnLoadResult> {
  const shape = shapeOf(await readFile(path));
  const from = { importer: path, resolveDir: dirname(path), kind: "import-statement" } as const;
  const found = await Promise.all(shape.imports.map((specifier) => build.resolve(specifier, from)));
  const isWhole = found.every(({ errors }) => errors.length === 0);
  return loaded(path, isWhole ? withInstance(shape) : "export default wasm;");
}

interface Shape {
  /** Specifiers of modules, each once. */
  imports: string[];
  exports: string[];
}

/** WebAssembly.Module, of which Node's types know nothing. */
interface WasmModules {
  new (bytes: Uint8Array): object;
  imports(compiled: object): { module: string }[];
  exports(compiled: object): { name: string }[];
}
const { Module } = Reflect.get(globalThis, "WebAssembly") as { Module: WasmModules };

/** Nothing for what cannot be compiled: that is told where it is loaded. */
function shapeOf(bytes: Uint8Array): Shape {
  try {
    const compiled = new Module(bytes);
    return {
      imports: [...new Set(Module.imports(compiled).map(({ module }) => module))],
      exports: Module.exports(compiled).map(({ name }) => name),
    };
  } catch {
    return { imports: [], exports: [] };
  }
}

/** Numbers in globals are exported as such, as the integration has it. */
const EXPORTED = `const exported = (instance, name) => {
  const value = instance.exports[name];
  return value instanceof WebAssembly.Global ? value.value : value;
};`;

function withInstance({ imports, exports }: Shape): string {
  const named = exports.filter((name) => name !== "default" && name.isWellFormed());
  if (named.length === 0) return "export default wasm;";
  const quoted = (text: string) => JSON.stringify(text);
  return [
    ...imports.map((specifier, index) => `import * as import${index} from ${quoted(specifier)};`),
    `const imports = { ${imports.map((specifier, index) => `[${quoted(specifier)}]: import${index}`).join(", ")} };`,
    "const instance = /* @__PURE__ */ new WebAssembly.Instance(wasm, imports);",
    EXPORTED,
    ...named.map((name, index) => `const export${index} = /* @__PURE__ */ exported(instance, ${quoted(name)});`),
    `export { ${named.map((name, index) => `export${index} as ${quoted(name)}`).join(", ")}, wasm as default };`,
  ].join("\n");
}

function loaded(path: string, rest: string): OnLoadResult {
  const bytes = JSON.stringify(`./${basename(path)}?bytes`);
  const contents = `import bytes from ${bytes}; const wasm = /* @__PURE__ */ new WebAssembly.Module(bytes); ${rest}`;
  return { contents, loader: "js", resolveDir: dirname(path) };
}
