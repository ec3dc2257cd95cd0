/** The type `Env` of a function, out of `env` in its sandpiper.jsonc. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemCodeOf } from "../failure.ts";
import { ENV_TYPES_FILE } from "./file-names.ts";

const HEADER = `// Written by \`sandpiper types\` from "env" in sandpiper.jsonc. Change it there, and run the command again.
`;

/**
 * The text of a declaration file: `Env` for the handler's parameter, and the same variables in
 * `process.env`, for who has Node's types. Values are in it nowhere, as they may be secrets.
 */
export function envTypesOf(env: Readonly<Record<string, string>>): string {
  const names = Object.keys(env).sort();
  const members = names.map((name) => `  readonly ${name}: string;\n`).join("");
  const processMembers = names.map((name) => `    readonly ${name}: string;\n`).join("");
  return `${HEADER}
/** The variables of "env", as the handler's \`env\` has them. */
interface Env {
${members}}

declare namespace NodeJS {
  interface ProcessEnv {
${processMembers}  }
}
`;
}

/** Whether a directory's file has this text; null when there is no file. */
export async function hasEnvTypes(directory: string, text: string): Promise<boolean | null> {
  try {
    return (await readFile(join(directory, ENV_TYPES_FILE), "utf8")) === text;
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return null;
    throw error;
  }
}

/** Writes a directory's file. */
export async function writeEnvTypes(directory: string, text: string): Promise<void> {
  await writeFile(join(directory, ENV_TYPES_FILE), text);
}

/** Writes the file anew where there is one with another text; gives its name then, else null. */
export async function refreshEnvTypes(directory: string, text: string): Promise<string | null> {
  if ((await hasEnvTypes(directory, text)) !== false) return null;
  await writeEnvTypes(directory, text);
  return ENV_TYPES_FILE;
}
