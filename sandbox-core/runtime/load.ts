/** Evaluates a bundle: an ES module in memory, without any file system. */
import { SourceTextModule } from "node:vm";
import { builtinModule } from "./builtins.ts";
import { FUNCTION_URL } from "./stack.ts";

/**
 * Evaluates the code of a bundle in this process's own context and returns its exports.
 * Rejects with what the code throws, SyntaxError included. Settles when its top-level awaits have.
 */
export async function evaluateBundle(code: string): Promise<object> {
  const module = new SourceTextModule(code, {
    identifier: FUNCTION_URL,
    initializeImportMeta(meta) {
      meta.url = FUNCTION_URL;
      meta.filename = "/function/index.js";
      meta.dirname = "/function";
    },
    importModuleDynamically: async (specifier) => {
      const builtin = builtinModule(specifier);
      if (builtin.status === "unlinked") await builtin.link(noImports);
      if (builtin.status !== "evaluated") await builtin.evaluate();
      return builtin;
    },
  });
  module.linkRequests(module.moduleRequests.map(({ specifier }) => builtinModule(specifier)));
  module.instantiate();
  await module.evaluate();
  return module.namespace;
}

function noImports(): never {
  throw new Error("A built-in module imports nothing.");
}
