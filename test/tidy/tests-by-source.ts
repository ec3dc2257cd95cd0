/** The table "tests by source" of HACKING.md, made out of where files are and what tests import. */
import { dirname } from "node:path";
import { resolveImport, type Source } from "./source.ts";

const PRODUCT = /^(gateway|worker|sandbox-core|functions|infra)\//;
/** What tenants write; `test/e2e/examples.test.ts` calls all of it. */
const TENANT_CODE = /^functions\/(examples|templates)\//;
const BEGIN = "<!-- tests by source: written by `npm run tests-by-source` -->";
const END = "<!-- end of tests by source -->";

/**
 * Rows of the table: each folder with code, the tests in the folder that mirrors it, and tests
 * elsewhere that import it.
 */
export function testsBySource(sources: readonly Source[]): string {
  const tests = sources.filter(({ path }) => path.endsWith(".test.ts"));
  const folders = new Set(
    sources.filter(({ path }) => PRODUCT.test(path) && !TENANT_CODE.test(path)).map(({ path }) => dirname(path)),
  );
  const rows = [...folders].sort().map((folder) => {
    const mirrors = (path: string) => tests.filter((one) => dirname(one.path) === `test/${path}`);
    const others = tests.filter((one) => dirname(one.path) !== `test/${folder}` && importsFrom(one, folder));
    const own = namesOf(mirrors(folder), `test/${folder}/`) || elsewhere(folder, (path) => mirrors(path).length > 0);
    return `| \`${folder}/\` | ${own} | ${namesOf(others, "test/")} |`;
  });
  const head = ["| source | tests at the same path below `test/` | other tests that import it |", "|---|---|---|"];
  return [...head, ...rows].join("\n");
}

/**
 * Where the tests of a folder without tests of its own are: with those of a folder that it is in.
 */
function elsewhere(folder: string, hasTests: (folder: string) => boolean): string {
  const above = dirname(folder);
  if (above === ".") return "";
  return hasTests(above) ? `with \`${above}/\`` : elsewhere(above, hasTests);
}

function importsFrom({ path, imports }: Source, folder: string): boolean {
  return imports
    .filter(({ typeOnly }) => !typeOnly)
    .map(({ specifier }) => resolveImport(path, specifier))
    .some((target) => target !== null && dirname(target) === folder);
}

/** Names of tests without their ending and without the beginning that they share. */
function namesOf(tests: readonly Source[], beginning: string): string {
  return tests.map(({ path }) => path.slice(beginning.length).replace(/\.test\.ts$/, "")).join(", ");
}

/**
 * The document with this table between its markers.
 * @throws Error when a marker lacks
 */
export function withTestsBySource(document: string, table: string): string {
  const [start, end] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (start < 0 || end < start) throw new Error(`the document lacks the markers ${BEGIN} and ${END}`);
  return `${document.slice(0, start + BEGIN.length)}\n\n${table}\n\n${document.slice(end)}`;
}

/** Folders of tests that mirror no folder of sources. */
export function strayTests(paths: readonly string[]): string[] {
  const sources = new Set(paths.filter((path) => PRODUCT.test(path)).map((path) => dirname(path)));
  return paths
    .filter((path) => path.endsWith(".test.ts") && PRODUCT.test(path.slice("test/".length)))
    .filter((path) => !sources.has(dirname(path).slice("test/".length)))
    .map((path) => `${path} mirrors no folder: there is no ${dirname(path).slice("test/".length)}/`);
}
