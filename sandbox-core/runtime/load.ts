/**
 * Receives a bundle in pieces, and evaluates it: an ES module in memory, without any file system.
 */
import { SourceTextModule } from "node:vm";
import { type Load, ProtocolError } from "../protocol/frames.ts";
import { builtinModule } from "./builtins.ts";
import { FUNCTION_URL } from "./stack.ts";

const { concat } = Buffer;

/** A bundle's code and source map as they arrive, with as many bytes as their `load` announced. */
export class BundleParts {
  readonly #pieces: Record<"code" | "map", Uint8Array[]> = { code: [], map: [] };
  #missingBytes: number;

  constructor({ codeBytes, mapBytes }: Pick<Load, "codeBytes" | "mapBytes">) {
    this.#missingBytes = codeBytes + mapBytes;
  }

  get isComplete(): boolean {
    return this.#missingBytes === 0;
  }

  /** @throws ProtocolError when more comes than was announced */
  add(part: "code" | "map", bytes: Uint8Array): void {
    this.#missingBytes -= bytes.length;
    if (this.#missingBytes < 0) throw new ProtocolError("More code came than a load announced.");
    this.#pieces[part].push(bytes);
  }

  /** Gives up all that came of a part. */
  take(part: "code" | "map"): Buffer {
    const pieces = this.#pieces[part];
    this.#pieces[part] = [];
    return concat(pieces);
  }
}

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
