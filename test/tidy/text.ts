/** Rules on what is written, in documents and everywhere else, and on where it lies. */

export interface TextFile {
  /** Relative to the root, with slashes. */
  path: string;
  text: string;
}

/** Everything that may lie at the top, beside dot-files. */
const TOP_LEVEL = new Set([
  "gateway",
  "worker",
  "sandbox-core",
  "functions",
  "infra",
  "test",
  "docs",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "biome.json",
  "knip.json",
  "README.md",
  "HACKING.md",
  "CHANGELOG.md",
  "SECURITY.md",
  "LICENSE",
]);
const DOT_FILES = new Set([".ci", ".gitignore", ".npmrc", ".editorconfig", ".gitattributes"]);

/** Files and folders at the top that do not belong there. */
export function strayTopLevel(paths: readonly string[]): string[] {
  const tops = new Set(paths.map((path) => path.split("/")[0] as string));
  return [...tops].filter((top) => !TOP_LEVEL.has(top) && !DOT_FILES.has(top)).map((top) => `${top} is new at the top`);
}

/**
 * Links in Markdown files that lead to no file, or to no heading. `exists` is asked for paths from
 * the root.
 */
export function brokenLinks(documents: readonly TextFile[], exists: (path: string) => boolean): string[] {
  const byPath = new Map(documents.map((document) => [document.path, document]));
  return documents.flatMap((document) =>
    linksOf(document.text).flatMap((link) => {
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? document.path : resolvePath(document.path, decodeURIComponent(file));
      if (!exists(target)) return [`${document.path} links to ${link}, which is not there`];
      const targetText = byPath.get(target)?.text;
      if (anchor === undefined || targetText === undefined || anchorsOf(targetText).has(anchor)) return [];
      return [`${document.path} links to ${link}, but ${target} has no such heading`];
    }),
  );
}

/** Targets of inline links, outside of code, that are no URL. */
function linksOf(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, "").replace(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(([^()\s]+)\)/g)]
    .map((match) => match[1] as string)
    .filter((link) => !/^[a-z]+:/.test(link));
}

/** Anchors of headings as GitHub makes them. */
function anchorsOf(markdown: string): Set<string> {
  const headings = [...markdown.matchAll(/^#{1,6} (.+)$/gm)].map((match) => match[1] as string);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .trim()
        .replaceAll(" ", "-"),
    ),
  );
}

function resolvePath(from: string, link: string): string {
  return new URL(link, `file:///${from}`).pathname.slice(1).replace(/\/$/, "");
}

/** Paths of one machine: they mean nothing on another. */
const MACHINE_PATH = /(?<![\w.~-])\/(?:work|root|home\/\w+|Users\/\w+)\/\w/;

/** Files that name a place on somebody's machine. */
export function machinePaths(files: readonly TextFile[]): string[] {
  return files
    .filter(({ path, text }) => !path.startsWith("test/tidy") && MACHINE_PATH.test(text))
    .map(({ path, text }) => `${path} has the machine's path ${MACHINE_PATH.exec(text)?.[0]}`);
}

/**
 * Documents and comments are in English letters and symbols; what else is there came in by
 * accident.
 */
export function strayCharacters(files: readonly TextFile[]): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point.
  const stray = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;
  return files
    .filter(({ text }) => stray.test(text))
    .map(
      ({ path, text }) => `${path} has the invisible character U+${stray.exec(text)?.[0].codePointAt(0)?.toString(16)}`,
    );
}
