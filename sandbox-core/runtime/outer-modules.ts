/**
 * Modules outside of a bundle: those of builtins.ts, and files that lie beside the bundle, which
 * Node's loader takes from there.
 */
import { SyntheticModule } from "node:vm";
import { builtinModule, requireBuiltin } from "./builtins.ts";
import { FUNCTION_FILE } from "./stack.ts";

// Captured before tenant code.
const { createRequire } = process.getBuiltinModule("node:module");
const { fileURLToPath } = process.getBuiltinModule("node:url");
const modules = new Map<string, SyntheticModule>();

let requireFile: NodeJS.Require | undefined;

/** Looks for what is no built-in; made at the first need, as it reads the file system. */
function files(): NodeJS.Require {
  requireFile ??= createRequire(FUNCTION_FILE);
  return requireFile;
}

/**
 * A module to import another by.
 * @throws Error with code MODULE_NOT_FOUND when there is none of this name.
 */
export function outerModule(specifier: string): SyntheticModule {
  const known = modules.get(specifier);
  if (known !== undefined) return known;
  return orElse(
    () => builtinModule(specifier),
    () => {
      const module = fileModule(specifier);
      modules.set(specifier, module);
      return module;
    },
  );
}

/** The answer to an `import()`. Rejects as Node's does. */
export async function importOuter(specifier: string): Promise<SyntheticModule> {
  const module = imported(specifier);
  if (module.status === "unlinked") await module.link(noImports);
  if (module.status !== "evaluated") await module.evaluate();
  return module;
}

/**
 * The `require` of a function: what CommonJS calls for what is outside of the bundle.
 * @throws Error with code MODULE_NOT_FOUND when there is none of this name
 */
export function requireOuter(specifier: string): unknown {
  return orElse(
    () => requireBuiltin(specifier),
    () => loadFile(specifier),
  );
}

/** @throws Error with code MODULE_NOT_FOUND */
export function resolveOuter(specifier: string): string {
  const isBuiltin = () => {
    requireBuiltin(specifier);
    return specifier;
  };
  return orElse(isBuiltin, () => {
    try {
      return files().resolve(pathOf(specifier));
    } catch {
      throw notFound(specifier);
    }
  });
}

/** The second when there is no module for the first. */
function orElse<Result>(first: () => Result, second: () => Result): Result {
  try {
    return first();
  } catch (error) {
    if (!isNotFound(error)) throw error;
    return second();
  }
}

function imported(specifier: string): SyntheticModule {
  try {
    return outerModule(specifier);
  } catch (error) {
    if (isNotFound(error)) error.code = "ERR_MODULE_NOT_FOUND";
    throw error;
  }
}

function fileModule(specifier: string): SyntheticModule {
  const exported = loadFile(specifier);
  const members = Object((typeof exported === "object" || typeof exported === "function") && exported);
  const names = Object.keys(members).filter((name) => name !== "default");
  return new SyntheticModule(
    [...names, "default"],
    function (this: SyntheticModule) {
      for (const name of names) this.setExport(name, members[name]);
      this.setExport("default", isNamespace(exported) ? exported.default : exported);
    },
    { identifier: specifier },
  );
}

/** Whether it is an ES module that was required. */
function isNamespace(exported: unknown): exported is { default?: unknown } {
  return Object.prototype.toString.call(exported) === "[object Module]";
}

function loadFile(specifier: string): unknown {
  const path = pathOf(specifier);
  try {
    return files()(path);
  } catch (error) {
    // Something else that it requires may be missing, which Node's own words tell.
    if (isNotFound(error) && !isThere(path)) throw notFound(specifier);
    throw error;
  }
}

function isThere(path: string): boolean {
  try {
    files().resolve(path);
    return true;
  } catch {
    return false;
  }
}

function pathOf(specifier: string): string {
  return String(specifier).startsWith("file:") ? fileURLToPath(specifier) : specifier;
}

function isNotFound(error: unknown): error is Error & { code: string } {
  return error instanceof Error && "code" in error && error.code === "MODULE_NOT_FOUND";
}

function notFound(specifier: string): Error {
  const message =
    `Cannot load the module ${JSON.stringify(String(specifier))}: it is neither in the bundle nor beside it. ` +
    "Import it by a literal name and have it installed at deployment, so that it is bundled, " +
    'or name its files in "include" of sandpiper.jsonc.';
  return Object.assign(new Error(message), { code: "MODULE_NOT_FOUND" });
}

function noImports(): never {
  throw new Error("A module of this kind imports nothing.");
}
