/** A source file as the tidy rules see it: parsed once, by a real parser. */
import { dirname, posix } from "node:path";
import { parseSync, type StaticExport, type StaticImport } from "oxc-parser";

export interface Import {
  specifier: string;
  /** Everything it imports is erased before the code runs. */
  typeOnly: boolean;
}

export interface Source {
  /** Relative to the root, with slashes. */
  path: string;
  text: string;
  imports: Import[];
  /** The code without comments; strings stay. Of the same length as `text`. */
  code: string;
}

/** @throws Error when it is no TypeScript or JavaScript. */
export function parseSource(path: string, text: string): Source {
  const { module, comments, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  const imports = [
    ...module.staticImports.map(fromImport),
    ...module.staticExports.flatMap(fromExport),
    ...module.dynamicImports.map(({ moduleRequest }) => ({
      specifier: text.slice(moduleRequest.start, moduleRequest.end).replace(/^["'`]|["'`]$/g, ""),
      typeOnly: false,
    })),
  ];
  let code = text;
  for (const { start, end } of comments) {
    code = code.slice(0, start) + text.slice(start, end).replace(/[^\n]/g, " ") + code.slice(end);
  }
  return { path, text, imports, code };
}

/** Path of the file that a relative import names, from the root; null for a package. */
export function resolveImport(from: string, specifier: string): string | null {
  return specifier.startsWith(".") ? posix.normalize(posix.join(dirname(from), specifier)) : null;
}

/** Name of the package that an import names; null for relative paths and node: builtins. */
export function packageOf(specifier: string): string | null {
  if (/^(\.|\/|node:|#)/.test(specifier)) return null;
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

function fromImport({ moduleRequest, entries }: StaticImport): Import {
  return { specifier: moduleRequest.value, typeOnly: entries.length > 0 && entries.every(({ isType }) => isType) };
}

function fromExport({ entries }: StaticExport): Import[] {
  const from = entries.find(({ moduleRequest }) => moduleRequest !== null)?.moduleRequest;
  return from ? [{ specifier: from.value, typeOnly: entries.every(({ isType }) => isType) }] : [];
}
