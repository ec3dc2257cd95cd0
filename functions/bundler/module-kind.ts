/** Whether a function's entry is an ES module or a CommonJS one. */
import type { Metafile } from "esbuild";

/** As esbuild names them. */
export type Format = "esm" | "cjs";

const ESM_ENDING = /\.m[jt]s$/;
const CJS_ENDING = /\.c[jt]s$/;
/** A statement that only ES modules have; one in a comment or a text only costs a second look. */
const ESM_STATEMENT =
  /^\s*(?:export\s+(?:default|const|let|var|function|class|async|\{|\*)|import\s*(?:["'{*]|[\w$]+[\s,]))/m;
const EXPORTS = /\bexports\b/;

/** A first guess by a module's text; esbuild knows better when it has read it. */
export function guessFormat(path: string, text: string): Format {
  if (ESM_ENDING.test(path)) return "esm";
  if (CJS_ENDING.test(path)) return "cjs";
  return ESM_STATEMENT.test(text) ? "esm" : "cjs";
}

/** Its format as esbuild found it; of one that has nothing of either, as its ending says. */
export function formatOf(path: string, { inputs }: Metafile): Format {
  return inputs[path]?.format ?? (ESM_ENDING.test(path) ? "esm" : "cjs");
}

export function otherFormat(format: Format): Format {
  return format === "esm" ? "cjs" : "esm";
}

/**
 * Whether the entry is a program and no library: it exports nothing. Only there do
 * `require.main === module` and `import.meta.main` hold, as many a module starts a server of its
 * own behind that question, and exports its handler otherwise.
 */
export function isProgram(text: string, format: Format): boolean {
  return format === "cjs" ? !EXPORTS.test(text) : !/^\s*export\b/m.test(text);
}
