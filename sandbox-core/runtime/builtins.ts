/**
 * Imports and `require` of Node's built-in modules, and of those that the runtime provides: the
 * only ones there are once a bundle runs.
 */
import vm from "node:vm";

// All are captured before tenant code: it may replace process.getBuiltinModule.
const { SyntheticModule } = vm;
type BuiltinModule = InstanceType<typeof SyntheticModule>;
const getBuiltinModule = process.getBuiltinModule.bind(process);
const modules = new Map<string, BuiltinModule>();
/** Modules of other platforms that the runtime stands in for. */
const provided = new Map<string, () => object>();

/**
 * Lets functions import a module by this name, with or without a default import.
 * @param make makes its exports when it is imported for the first time
 */
export function provideModule(specifier: string, make: () => object): void {
  let exported: object | null = null;
  modules.delete(specifier);
  provided.set(specifier, () => {
    exported ??= make();
    return exported;
  });
}

/**
 * A module to import a built-in by, with or without the prefix "node:".
 * @throws Error when there is none of this name.
 */
export function builtinModule(specifier: string): BuiltinModule {
  const known = modules.get(specifier);
  if (known !== undefined) return known;
  const exported = requireBuiltin(specifier) as Record<string, unknown>;
  const names = Object.keys(exported).filter((name) => name !== "default");
  const module = new SyntheticModule(
    [...names, "default"],
    function (this: BuiltinModule) {
      for (const name of names) this.setExport(name, exported[name]);
      this.setExport("default", exported);
    },
    { identifier: specifier },
  );
  modules.set(specifier, module);
  return module;
}

/**
 * The `require` of a function: what packages in CommonJS, which esbuild wrapped, call for a
 * built-in.
 * @throws Error with code MODULE_NOT_FOUND for anything else.
 */
export function requireBuiltin(specifier: string): unknown {
  const found = provided.get(specifier)?.() ?? getBuiltinModule(specifier);
  if (found !== undefined) return found;
  const message = specifier.startsWith?.("cloudflare:") ? noModuleOfCloudflare(specifier) : noModule(specifier);
  throw Object.assign(new Error(message), { code: "MODULE_NOT_FOUND" });
}

function noModuleOfCloudflare(specifier: string): string {
  return (
    `There is no module ${JSON.stringify(specifier)}: of Cloudflare's modules there is "cloudflare:workers" alone. ` +
    "Sockets are in node:net, and servers in node:http."
  );
}

function noModule(specifier: string): string {
  return (
    `Cannot load the module ${JSON.stringify(String(specifier))}: when a function runs, only Node's built-in modules ` +
    "can be loaded. Import others by a literal name, so that they are bundled at deployment."
  );
}
