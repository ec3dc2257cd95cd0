/** The examples of docs/EGRESS.md, as a reader copies them. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

const DOCUMENT = resolve(import.meta.dirname, "../../docs/EGRESS.md");

export interface DocumentedExample {
  /** By path, the module `example.ts` among them. */
  files: Record<string, string>;
  /** Fields of sandpiper.jsonc. */
  config: { egress: string[]; include?: string[] };
}

/** The example below the paragraph that begins with the title in bold. @throws Error without one */
export function documentedExample(title: string): DocumentedExample {
  const section = sectionOf(title);
  const egress = fieldOf(section, "egress");
  const include = fieldOf(section, "include");
  if (egress === undefined) throw new Error(`"${title}" of docs/EGRESS.md declares no egress`);
  const described = include === undefined ? {} : { [include[0] as string]: codeOf(section, "proto") };
  const files = { "example.ts": codeOf(section, "ts"), ...described };
  return { files, config: { egress, ...(include !== undefined && { include }) } };
}

/** The module that has clients trust an authority of one's own. */
export function trustModule(): string {
  return codeOf(sectionOf("A certificate authority of your own."), "ts");
}

function sectionOf(title: string): string {
  const [, section] = readFileSync(DOCUMENT, "utf8").split(`\n**${title}**`);
  if (section === undefined) throw new Error(`docs/EGRESS.md has no example "${title}"`);
  return section.split(/\n\*\*|\n## /)[0] as string;
}

/** The list that stands as `"name": [...]` in the words of a section. */
function fieldOf(section: string, name: string): string[] | undefined {
  const list = new RegExp(`\`"${name}": (\\[[^\\]]*\\])\``).exec(section)?.[1];
  return list === undefined ? undefined : JSON.parse(list);
}

function codeOf(section: string, language: string): string {
  const code = new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "s").exec(section)?.[1];
  if (code === undefined) throw new Error(`an example of docs/EGRESS.md has no ${language}`);
  return code;
}
