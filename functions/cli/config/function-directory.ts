/** A function's directory as a command line names it, and the entry file in it. */
import { existsSync, realpathSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { CliError } from "../failure.ts";
import type { LoadedConfig } from "./config-file.ts";

/**
 * The directory that a user named, free of symbolic links. @param given as the user wrote it, for
 * messages.
 * @throws CliError when it is none
 */
export function functionDirectory(cwd: string, given: string): string {
  const directory = resolve(cwd, given);
  if (existsSync(directory) && statSync(directory).isDirectory()) return realpathSync(directory);
  throw new CliError("config", `${given} is no directory`, {
    code: "NO_SUCH_DIRECTORY",
    hint: `name the directory that holds sandpiper.jsonc, or make one: sandpiper init ${given}`,
  });
}

const USUAL_ENTRIES = ["index.ts", "index.tsx", "index.js", "index.mjs", "src/index.ts", "src/index.js", "main.ts"];

/** The entry file's absolute path. @throws CliError that shows the field when there is none */
export function entryFile(directory: string, { config, wrongField }: LoadedConfig): string {
  const entry = resolve(directory, config.entry);
  if (existsSync(entry) && statSync(entry).isFile()) return entry;
  const present = USUAL_ENTRIES.filter((file) => existsSync(join(directory, file)));
  throw wrongField(
    "entry",
    `the entry file ${relative(directory, entry)} does not exist`,
    present.length === 0 ? undefined : `there is ${present.join(", ")}: set "entry" to it`,
  );
}
