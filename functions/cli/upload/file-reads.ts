/**
 * Files that a function reads by a name that stands in its code, and that will not be there: in the
 * sandbox there are the bundle and what `include` means, and nothing else.
 */
import { readFileSync, statSync } from "node:fs";
import { dirname, isAbsolute, relative, resolve, sep } from "node:path";
import type { PartialMessage } from "esbuild";

const READERS = [
  "readFile",
  "readFileSync",
  "createReadStream",
  "sendFile",
  "readdir",
  "readdirSync",
  "readTextFile",
  "readTextFileSync",
].join("|");

const TEXT = String.raw`(["'\`])((?:(?!\1)[^\\\n$])+)\1`;
const HERE = String.raw`(__dirname|import\.meta\.dirname|process\.cwd\(\))`;
/** A call with its first argument, as far as that says where a file is. */
const CALLS: readonly { pattern: RegExp; read: (match: RegExpExecArray) => Read }[] = [
  {
    pattern: new RegExp(String.raw`\b(?:${READERS})\(\s*${TEXT}`, "g"),
    read: ([, , path]) => ({ base: "process.cwd()", path: path as string }),
  },
  {
    pattern: new RegExp(String.raw`\b(?:${READERS})\(\s*new URL\(\s*${TEXT}\s*,\s*import\.meta\.url\s*\)`, "g"),
    read: ([, , path]) => ({ base: "__dirname", path: path as string }),
  },
  {
    pattern: new RegExp(
      String.raw`\b(?:${READERS})\(\s*(?:[\w$]+\.)?(?:join|resolve)\(\s*${HERE}\s*,\s*((?:["'][^"'\n]+["']\s*,?\s*)+)\)`,
      "g",
    ),
    read: ([, base, parts]) => ({ base: base as string, path: textsIn(parts as string).join("/") }),
  },
  {
    pattern: new RegExp(String.raw`\b(?:${READERS})\(\s*${HERE}\s*\+\s*["']\/?([^"'\n]+)["']`, "g"),
    read: ([, base, path]) => ({ base: base as string, path: path as string }),
  },
  {
    pattern: new RegExp(String.raw`\b(?:${READERS})\(\s*\`\$\{${HERE}\}\/([^\`\n$]+)\``, "g"),
    read: ([, base, path]) => ({ base: base as string, path: path as string }),
  },
];

interface Read {
  base: string;
  path: string;
}

const CODE_ENDING = /\.[cm]?[jt]sx?$/;
const IN_PACKAGE = `${sep}node_modules${sep}`;

export interface ReadsOptions {
  /** Of the function. */
  directory: string;
  /** Files of the bundle; those of packages are not looked at. */
  files: readonly string[];
  /** Files that are there at run time. */
  included: readonly string[];
}

/** A warning for each file that is read and will not be there. All paths are absolute. */
export function warningsOfReads({ directory, files, included }: ReadsOptions): PartialMessage[] {
  const own = files.filter((file) => CODE_ENDING.test(file) && !file.includes(IN_PACKAGE));
  return own.flatMap((file) =>
    readsIn(readFileSync(file, "utf8")).flatMap(({ base, path, ...place }) => {
      const target = isAbsolute(path) ? path : resolve(base === "process.cwd()" ? directory : dirname(file), path);
      if (isThere(target, included) || !isWithin(directory, target)) return [];
      return [
        {
          text: describe(relative(directory, target), target),
          location: { file: relative(directory, file), ...place },
        },
      ];
    }),
  );
}

/** Lines from 1 and columns in bytes from 0, as esbuild counts them. */
function readsIn(text: string): (Read & { line: number; column: number; length: number; lineText: string })[] {
  const lines = text.split("\n");
  return CALLS.flatMap(({ pattern, read }) =>
    [...text.matchAll(pattern)].map((match) => {
      const before = text.slice(0, match.index).split("\n");
      const [line, column] = [before.length, Buffer.byteLength(before.at(-1) ?? "")];
      const lineText = lines[line - 1] ?? "";
      return {
        ...read(match as RegExpExecArray),
        line,
        column,
        length: match[0].split("\n")[0]?.length ?? 1,
        lineText,
      };
    }),
  );
}

function textsIn(parts: string): string[] {
  return [...parts.matchAll(/["']([^"'\n]+)["']/g)].map(([, text]) => text as string);
}

/** A file itself, or a directory with files in it. */
function isThere(target: string, included: readonly string[]): boolean {
  return included.some((file) => file === target || file.startsWith(`${target}${sep}`));
}

/** What lies elsewhere is no file of the function's: /tmp, /proc. */
function isWithin(directory: string, target: string): boolean {
  return target.startsWith(`${directory}${sep}`);
}

function describe(path: string, target: string): string {
  const stat = statSync(target, { throwIfNoEntry: false });
  if (stat === undefined) return `${path} is not in the function's directory`;
  const pattern = JSON.stringify(stat.isDirectory() ? `${path}/**` : path);
  return `${path} will not be there: add "include": [${pattern}] to sandpiper.jsonc`;
}
