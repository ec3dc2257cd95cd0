/**
 * The web-platform tests of a checkout as pages: scripts in their order, and files that they fetch.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

export interface Page {
  /** Absolute, in the checkout's own paths: `/url/historical.any.js`. */
  path: string;
  /** The harness first, the test last. */
  scripts: { name: string; code: string }[];
  /** Text of files beside it, by their paths. */
  files: Record<string, string>;
  timeoutMs: number;
}

/**
 * Folders about what a function has of the web, as far as no browser and no server of theirs is
 * needed.
 */
const FOLDERS = [
  ...["headers", "request", "response", "body", "abort", "basic"].map((name) => `fetch/api/${name}`),
  ...["streams", "url", "encoding", "compression", "FileAPI", "dom/abort", "dom/events", "xhr/formdata", "FormData"],
  ...["html/webappapis", "hr-time", "WebCryptoAPI", "urlpattern", "mimesniff"],
];
const TEST = /\.any\.js$/;
const SCRIPT = /^\/\/ META: script=(.*)$/gm;
const LONGEST_FILE_BYTES = 1024 * 1024;
const TIMEOUT_MS = 10_000;

/** All pages of the checkout whose path contains one of the filters, if there are any. */
export function pagesOf(root: string, filters: readonly string[]): Page[] {
  return FOLDERS.flatMap((folder) => filesBelow(join(root, folder)))
    .filter((file) => TEST.test(file))
    .map((file) => `/${relative(root, file)}`)
    .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter)))
    .flatMap((path) => pageOf(root, path) ?? []);
}

/** Nothing when the checkout lacks one of its scripts, as that which reads interfaces. */
function pageOf(root: string, path: string): Page | undefined {
  const read = (name: string) => ({ name, code: readFileSync(join(root, name), "utf8") });
  const test = read(path);
  const names = [...test.code.matchAll(SCRIPT)].map(([, name = ""]) => resolve(dirname(path), name.trim()));
  if (!names.every((name) => existsSync(join(root, name)))) return undefined;
  const scripts = names.map(read);
  return {
    path,
    scripts: [read("/resources/testharness.js"), ...scripts, test],
    files: filesFor(root, dirname(path)),
    timeoutMs: TIMEOUT_MS,
  };
}

/** Files in the `resources` of a test's folder and of the one above, which tests fetch. */
function filesFor(root: string, folder: string): Record<string, string> {
  const found = [join(root, folder, "resources"), join(root, folder, "../resources")].flatMap(filesBelow);
  const texts = found.map((file) => [`/${relative(root, file)}`, readFileSync(file, "utf8")] as const);
  return Object.fromEntries(texts.filter(([, text]) => text.length < LONGEST_FILE_BYTES));
}

function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch {
    return []; // Checkouts have some of the folders.
  }
}
