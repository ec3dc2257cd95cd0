/**
 * Each module of a bundle knows where it lies: `__dirname`, `__filename`, `import.meta.url`,
 * `.dirname` and `.filename` are those of its own file below the function's directory, although all
 * modules share one file by then.
 *
 * esbuild puts a name in the place of each such expression, the same in all modules. Which module a
 * name stands in is known when the bundle is there, by its source map. Then each gets the module's
 * number, in the same number of characters, so that the source map stays right; and the bundle's
 * first line, which is no module's, defines what the numbered names are.
 */
import { SourceMap } from "node:module";
import { posix } from "node:path";
import { pathToFileURL } from "node:url";
import { FUNCTION_DIRECTORY } from "../model/bundling.ts";

interface ModulePlace {
  /** Absolute, in the sandbox of the function. */
  file: string;
  /** Whether the module is the program that runs, and not a library of the runtime's. */
  isMain: boolean;
}

const EXPRESSIONS: Record<string, { name: string; value: (place: ModulePlace) => string | boolean }> = {
  __dirname: { name: "dirname", value: ({ file }) => posix.dirname(file) },
  __filename: { name: "filename", value: ({ file }) => file },
  "import.meta.dirname": { name: "meta_dirname", value: ({ file }) => posix.dirname(file) },
  "import.meta.filename": { name: "meta_filename", value: ({ file }) => file },
  "import.meta.url": { name: "meta_url", value: ({ file }) => pathToFileURL(file).href },
  "import.meta.main": { name: "meta_main", value: ({ isMain }) => isMain },
};

const MARK = "__sandpiper_";
const DIGITS = 5;
const NAMES = new RegExp(
  `${MARK}(${Object.values(EXPRESSIONS)
    .map(({ name }) => name)
    .join("|")})_0{${DIGITS}}__`,
  "g",
);

/** The names that esbuild puts in the place of the expressions, as its option `define`. */
export const PLACE_DEFINES: Record<string, string> = Object.fromEntries(
  Object.entries(EXPRESSIONS).map(([expression, { name }]) => [expression, markOf(name, 0)]),
);

/** A bundle's code and source map, and how to tell a module's place by its name in the map. */
export interface Unplaced {
  code: string;
  /** JSON. */
  sourceMap: string;
  /** A source's path below the function's directory; may begin with "..". */
  pathOf(source: string): string;
  /** The source that is the main program, if there is one. */
  main: string | null;
}

/** The code with all names numbered, and the definitions of these, for its first line. */
export function placeModules({ code, sourceMap, pathOf, main }: Unplaced): { code: string; definitions: string } {
  if (!code.includes(MARK)) return { code, definitions: "" };
  const map = new SourceMap(JSON.parse(sourceMap));
  const numbers = new Map<string, number>();
  const definitions = new Map<string, string>();
  const number = (source: string) => {
    const known = numbers.get(source) ?? numbers.size + 1;
    numbers.set(source, known);
    return known;
  };
  const lines = code.split("\n").map((text, line) =>
    text.replace(NAMES, (_, name: string, column: number) => {
      const entry = map.findEntry(line, column);
      const source = "originalSource" in entry ? entry.originalSource : "";
      const numbered = markOf(name, number(source));
      const place = { file: posix.join(FUNCTION_DIRECTORY, pathOf(source)), isMain: source === main };
      definitions.set(numbered, JSON.stringify(valueAt(name, place)));
      return numbered;
    }),
  );
  const list = [...definitions].map(([name, value]) => `${name}=${value}`);
  return { code: lines.join("\n"), definitions: `var ${list.join(",")};` };
}

function valueAt(name: string, place: ModulePlace): string | boolean | undefined {
  return Object.values(EXPRESSIONS)
    .find((one) => one.name === name)
    ?.value(place);
}

function markOf(name: string, number: number): string {
  return `${MARK}${name}_${String(number).padStart(DIGITS, "0")}__`;
}
