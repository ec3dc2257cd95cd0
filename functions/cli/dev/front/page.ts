/**
 * Pages that a browser gets instead of an answer that is none. They hold what functions and
 * bundlers wrote, so all of it is escaped, and a policy lets nothing run but the script below.
 */
import { createHash } from "node:crypto";
import { escapeControls } from "../../../../infra/std/escape.ts";

/** Where a page hears that the function changed. */
export const CHANGES_PATH = "/.sandpiper/dev/changes";

export interface Page {
  title: string;
  /** A line below the title. */
  summary: string;
  /** Parts, each a heading and preformatted text. */
  parts: { heading: string; text: string }[];
}

/** Loads the page again when the function changed. A broken connection tells nothing. */
const SCRIPT = `new EventSource(${JSON.stringify(CHANGES_PATH)}).addEventListener("change", () => location.reload());`;

const STYLE = `
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 2rem 1rem; }
h1 { border-left: .4rem solid #d33; font-size: 1.4rem; margin: 0; padding-left: .8rem; }
h2 { font-size: 1rem; margin: 1.5rem 0 .3rem; }
pre { background: #8882; border-radius: .3rem; overflow-x: auto; padding: .8rem; white-space: pre; }
footer { color: #888; font-size: .85rem; margin-top: 2rem; }
`;

/** The header fields of every page. */
export const PAGE_FIELDS: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "content-security-policy": `default-src 'none'; connect-src 'self'; script-src '${digestOf(SCRIPT)}'; style-src '${digestOf(STYLE)}'`,
  "x-content-type-options": "nosniff",
};

/** The page as HTML. */
export function renderPage({ title, summary, parts }: Page): string {
  const sections = parts
    .filter(({ text }) => text !== "")
    .map(({ heading, text }) => `<h2>${escaped(heading)}</h2>\n<pre>${escaped(text)}</pre>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escaped(title)}</h1>
<p>${escaped(summary)}</p>
${sections.join("\n")}
<footer>sandpiper dev shows this page, and loads it again when the function changes. A deployed function never shows it.</footer>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

/** Whether a client asks for a page, as browsers do and hardly anybody else. */
export function wantsPage(accept: string | undefined): boolean {
  return (accept ?? "").split(",").some((range) => {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    return type === "text/html" && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });
}

function escaped(text: string): string {
  return escapeControls(text)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}

function digestOf(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
