/** Receives a bundle in pieces, and evaluates it: a module in memory, without any file system. */
import { SourceTextModule } from "node:vm";
import { COMMONJS_MARK, type Load, ProtocolError } from "../protocol/frames.ts";
import { evaluateCommonJs } from "./commonjs.ts";
import { importOuter, outerModule } from "./outer-modules.ts";
import { FUNCTION_DIRECTORY, FUNCTION_FILE, FUNCTION_URL } from "./stack.ts";

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

/** An evaluated module. In a member, as exports may have a `then`, which a promise would call. */
export interface Evaluated {
  exports: object;
}

/**
 * Evaluates the code of a bundle in this process's own context and gives its exports.
 * Rejects with what the code throws, SyntaxError included. Settles when its top-level awaits have.
 */
export function evaluateBundle(code: string): Promise<Evaluated> {
  return code.startsWith(COMMONJS_MARK) ? evaluateScript(code) : evaluateModule(code);
}

async function evaluateScript(code: string): Promise<Evaluated> {
  return { exports: evaluateCommonJs(code) };
}

async function evaluateModule(code: string): Promise<Evaluated> {
  const module = new SourceTextModule(code, {
    identifier: FUNCTION_URL,
    initializeImportMeta(meta) {
      meta.url = FUNCTION_URL;
      meta.filename = FUNCTION_FILE;
      meta.dirname = FUNCTION_DIRECTORY;
    },
    importModuleDynamically: importOuter,
  });
  module.linkRequests(module.moduleRequests.map(({ specifier }) => outerModule(specifier)));
  module.instantiate();
  await module.evaluate();
  return { exports: module.namespace };
}
