/** Bundles that are CommonJS modules: sloppy functions of `require`, `module` and `exports`. */
import { compileFunction } from "node:vm";
import { importOuter } from "./outer-modules.ts";
import { FUNCTION_DIRECTORY, FUNCTION_FILE, FUNCTION_URL } from "./stack.ts";

const PARAMETERS = ["exports", "require", "module", "__filename", "__dirname"];

/**
 * Evaluates the code, at once, and gives its exports as those of an ES module: by their names where
 * it was one before it was compiled, else as the default export. Throws what the code throws,
 * SyntaxError included.
 */
export function evaluateCommonJs(code: string): object {
  const module = { exports: {} as unknown, id: ".", filename: FUNCTION_FILE, loaded: false, children: [], paths: [] };
  const run = compileFunction(code, PARAMETERS, { filename: FUNCTION_URL, importModuleDynamically: importOuter });
  const { require } = globalThis;
  Reflect.apply(run, module.exports, [module.exports, require, module, FUNCTION_FILE, FUNCTION_DIRECTORY]);
  module.loaded = true;
  const { exports } = module;
  return isModule(exports) ? exports : { default: exports };
}

function isModule(exports: unknown): exports is object {
  return typeof exports === "object" && exports !== null && "__esModule" in exports && exports.__esModule === true;
}
