/** Rules on paths in documents. */
import { dirname } from "node:path";
import type { Source } from "./source.ts";
import type { TextFile } from "./text.ts";

const FILE = /^[\w.-]+(?:\/[\w.*-]+)*\.(?:ts|mjs|sh|service)$/;
const FROM_ROOT = /^(?:gateway|worker|sandbox-core|functions|infra|test|docs)\//;
/** Files that a user has, and the name that several of ours share. */
const NO_ONE_FILE = /^(?:(?:\w+\/)?index|main|sandpiper-env\.d)\.ts$/;
const PRODUCT = /^(?:gateway|worker|sandbox-core|functions|infra)\//;
/** Directories of tenants' code, whatever is in them. */
const TENANT_CODE = /^functions\/(?:examples|templates)\/$/;
/** Folders that a document may leave out where it names files in them. */
const LEFT_OUT: Readonly<Record<string, string>> = { "docs/SECURITY-MODEL.md": "sandbox-core/" };

/**
 * Paths in inline code that lead nowhere. A path names its file or folder from the root; a "*"
 * stands for any characters of a name. The changelog is left out: what it says was so.
 */
export function lostPaths(documents: readonly TextFile[], paths: readonly string[]): string[] {
  return documents
    .filter(({ path }) => path !== "CHANGELOG.md")
    .flatMap(({ path, text }) =>
      codeSpansOf(text)
        .filter((span) => (FILE.test(span) && !NO_ONE_FILE.test(span)) || isFolder(span))
        .filter((span) => !leadsSomewhere(span, paths) && !leadsSomewhere(`${LEFT_OUT[path]}${span}`, paths))
        .map((span) => `${path} names ${span}, which is not there: name files and folders from the root`),
    );
}

/**
 * Keys of Redis that the table below "What is in Redis" lacks, has too many of, or puts into
 * another file. Keys are told apart by their first word, "sp:logs".
 */
export function misplacedKeys(architecture: string, sources: readonly Source[]): string[] {
  const table = /^## What is in Redis\n[\s\S]*?(?=^## |(?![\s\S]))/m.exec(architecture)?.[0] ?? "";
  const listed = new Map<string, string>();
  for (const row of table.match(/^\| `sp:.*$/gm) ?? []) {
    const cells = row.split(" | ");
    for (const [key] of cells[0]?.matchAll(/sp:\w+/g) ?? [])
      listed.set(key, `${listed.get(key) ?? ""} ${cells.at(-1)}`);
  }
  const used = new Map<string, string[]>();
  for (const { path, code } of sources.filter(({ path }) => PRODUCT.test(path)))
    for (const [, key = ""] of code.matchAll(/["'`](sp:\w+)/g)) used.set(key, [...(used.get(key) ?? []), path]);
  return [
    ...[...listed.keys()]
      .filter((key) => !used.has(key))
      .map((key) => `the table of keys has ${key}, which no code has`),
    ...[...used]
      .filter(([key, paths]) => !paths.some((path) => listed.get(key)?.includes(path)))
      .map(([key, paths]) => `the table of keys does not say that ${key} is in ${paths.join(", ")}`),
  ];
}

/**
 * Folders of sources that the table below the heading "Folders" of the architecture has no row for.
 */
export function unlistedFolders(architecture: string, paths: readonly string[]): string[] {
  const table = /^## Folders\n[\s\S]*?(?=^## |(?![\s\S]))/m.exec(architecture)?.[0] ?? "";
  const first = [...table.matchAll(/^\|(.*?)\|/gm)].flatMap(([, cell = ""]) => codeSpansOf(cell));
  const folders = new Set(
    paths.filter((path) => PRODUCT.test(path) && !path.endsWith("/package.json")).map((path) => `${dirname(path)}/`),
  );
  return [...folders]
    .filter(
      (folder) => !first.some((listed) => listed === folder || (TENANT_CODE.test(listed) && folder.startsWith(listed))),
    )
    .map((folder) => `the table of folders in docs/ARCHITECTURE.md has no row for ${folder}`);
}

/** Tests in the column "test" of the security model's first table of walls that are not there. */
export function lostTests(document: string, paths: readonly string[]): string[] {
  const table = /^\| threat \|[\s\S]*?\n(?!\|)/m.exec(document)?.[0] ?? "";
  const cells = table.split("\n").map((row) => row.split(" | ").at(-1) ?? "");
  return cells
    .flatMap((cell) => codeSpansOf(cell))
    .filter((span) => /^[\w-]+\/[\w/-]+$/.test(span))
    .filter(
      (span) => ![`test/${span}.test.ts`, `test/sandbox-core/${span}.test.ts`].some((path) => paths.includes(path)),
    )
    .map((span) => `the security model names the test ${span}, which is not there`);
}

function codeSpansOf(markdown: string): string[] {
  const prose = markdown.replace(/^ *```[\s\S]*?^ *```/gm, "");
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span]) => String(span));
}

function isFolder(span: string): boolean {
  return FROM_ROOT.test(span) && /^[\w.*/-]+\/$/.test(span);
}

function leadsSomewhere(span: string, paths: readonly string[]): boolean {
  const wanted = span.replace(/\/$/, "");
  if (!wanted.includes("*")) return paths.some((path) => path === wanted || path.startsWith(`${wanted}/`));
  const pattern = new RegExp(`^${wanted.replaceAll(".", "\\.").replaceAll("*", "[^/]*")}(?:/|$)`);
  return paths.some((path) => pattern.test(path));
}
