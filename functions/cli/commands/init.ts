/** `sandpiper init`: a directory with a function in it. */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import type { Command } from "commander";
import { optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { CONFIG_FILE, ENV_TYPES_FILE } from "../config/file-names.ts";
import { nearest } from "../config/suggest.ts";
import { CliError, messageOf, systemCodeOf } from "../failure.ts";
import { type Io, printJson } from "../io.ts";
import { TEMPLATES_DIR } from "../paths.ts";

/** The templates and what each is; the files are in functions/templates. */
export const TEMPLATES: Readonly<Record<string, string>> = {
  ts: "TypeScript, a `fetch` handler",
  js: "JavaScript, a `fetch` handler",
  hono: "TypeScript, an app with routes; needs npm install",
  express: "TypeScript, an Express app; needs npm install",
  lambda: "TypeScript, an AWS Lambda handler",
  server: "TypeScript, a server of node:http that listens",
  "websocket-ready": "a server that takes WebSockets where upgrades reach it; needs npm install",
};

/** Other names of templates. */
const ALIASES: Readonly<Record<string, string>> = { fetch: "ts", websocket: "websocket-ready" };

const SCHEMA_FILE = ".sandpiper-schema.json";
const DEFAULT_NAME = "my-function";

export function addInit(add: AddCommand, io: Io): void {
  const templates = Object.entries(TEMPLATES).map(([name, what]) => `${name} (${what})`);
  add(["sandpiper init hello", "sandpiper init api --template hono", "mkdir hi && cd hi && sandpiper init"])
    .option("-t, --template <name>", `one of: ${templates.join(", ")}`, "ts")
    .action((directory: string | undefined, _options, command: Command) => init(io, directory ?? ".", command));
}

async function init(io: Io, given: string, command: Command): Promise<void> {
  const { template: wanted, json } = optionsOf<{ template: string }>(command);
  const template = Object.hasOwn(ALIASES, wanted) ? String(ALIASES[wanted]) : wanted;
  const directory = resolve(io.cwd, given);
  const name = nameFrom(basename(directory));
  const files = await filesOf(template, name);
  refuseToOverwrite(directory, given, [...files.keys()]);
  try {
    await mkdir(directory, { recursive: true });
    for (const [file, text] of files) await writeFile(join(directory, file), text, { flag: "wx" });
  } catch (error) {
    const reason = systemCodeOf(error) ?? messageOf(error);
    throw new CliError("config", `cannot write to ${given}: ${reason}`, { code: "CANNOT_WRITE", cause: error });
  }
  if (json) return printJson(io, { name, directory, template, files: [...files.keys()] });
  io.stdout.write(nextSteps(io, directory, name, files));
}

/**
 * A valid function's name that is as near as can be to a directory's: lower case, and '-' for what
 * may not stand in it.
 */
export function nameFrom(directoryName: string): string {
  const name = directoryName
    .normalize("NFKD")
    .toLowerCase()
    .replace(/\p{Mark}/gu, "")
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 63)
    .replace(/^-+|-+$/g, "");
  return name || DEFAULT_NAME;
}

/**
 * The template's files by their names. "{{name}}" stands for the function's name; `gitignore` has
 * no dot in the template, as npm would neither pack it under its own name nor leave git alone here.
 */
async function filesOf(template: string, name: string): Promise<Map<string, string>> {
  if (!Object.hasOwn(TEMPLATES, template)) {
    const guess = nearest(template, Object.keys(TEMPLATES));
    throw new CliError("usage", `there is no template ${JSON.stringify(template)}`, {
      code: "NO_SUCH_TEMPLATE",
      hint: `${guess === null ? "" : `did you mean ${guess}? `}templates are: ${Object.keys(TEMPLATES).join(", ")}`,
    });
  }
  const source = join(TEMPLATES_DIR, template);
  const files = new Map<string, string>();
  for (const file of (await readdir(source)).sort()) {
    const text = (await readFile(join(source, file), "utf8")).replaceAll("{{name}}", name);
    files.set(file === "gitignore" ? ".gitignore" : file, text);
  }
  if (files.has("tsconfig.json")) files.set(ENV_TYPES_FILE, await envTypesIn(files.get(CONFIG_FILE) ?? ""));
  const { configJsonSchema } = await import("../../model/manifest.ts");
  return files.set(SCHEMA_FILE, `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
}

/** The type `Env` of a template's configuration. */
async function envTypesIn(configuration: string): Promise<string> {
  const { parse } = await import("jsonc-parser");
  const { envTypesOf } = await import("../config/env-types.ts");
  return envTypesOf((parse(configuration) as { env: Record<string, string> }).env);
}

function refuseToOverwrite(directory: string, given: string, files: readonly string[]): void {
  const present = files.filter((file) => existsSync(join(directory, file)));
  if (present.length === 0) return;
  throw new CliError("config", `${given} already has ${present.join(", ")}; nothing was written`, {
    code: "WOULD_OVERWRITE",
    hint: "name another directory, or move these files away",
  });
}

function nextSteps(io: Io, directory: string, name: string, files: ReadonlyMap<string, string>): string {
  const there = relative(io.cwd, directory);
  // npx says so in the environment of what it runs: the next commands must work when they are typed
  // as shown.
  const sandpiper = io.env.npm_command === "exec" ? "npx sandpiper" : "sandpiper";
  const argument = there === "" ? "" : ` ${/^[\w./-]+$/.test(there) ? there : JSON.stringify(there)}`;
  const { dependencies } = JSON.parse(files.get("package.json") ?? "{}") as { dependencies?: object };
  return [
    `Made the function ${name} in ${there || "this directory"}: ${[...files.keys()].join(", ")}`,
    "",
    "Next:",
    ...(dependencies ? [`  npm install${argument && ` --prefix${argument}`}`] : []),
    `  ${sandpiper} dev${argument}    (live with each change)`,
    `  ${sandpiper} deploy${argument}`,
    `  ${sandpiper} invoke ${name} --logs`,
    "",
  ].join("\n");
}
