/** Imports and `require` of Node's built-in modules: the only ones there are once a bundle runs. */
import { SyntheticModule } from "node:vm";

// Both are captured before tenant code: it may replace process.getBuiltinModule.
const getBuiltinModule = process.getBuiltinModule.bind(process);
const modules = new Map<string, SyntheticModule>();

/**
 * A module to import a built-in by, with or without the prefix "node:".
 * @throws Error when there is none of this name.
 */
export function builtinModule(specifier: string): SyntheticModule {
  const known = modules.get(specifier);
  if (known !== undefined) return known;
  const exported = requireBuiltin(specifier) as Record<string, unknown>;
  const names = Object.keys(exported).filter((name) => name !== "default");
  const module = new SyntheticModule(
    [...names, "default"],
    function (this: SyntheticModule) {
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
  const found = getBuiltinModule(specifier);
  if (found !== undefined) return found;
  const message =
    `Cannot load the module ${JSON.stringify(String(specifier))}: when a function runs, only Node's built-in modules ` +
    "can be loaded. Import others by a literal name, so that they are bundled at deployment.";
  throw Object.assign(new Error(message), { code: "MODULE_NOT_FOUND" });
}
