/** `sandpiper types`: the type `Env`, as sandpiper.jsonc has it. */
import { realpathSync } from "node:fs";
import { join, relative } from "node:path";
import type { Command } from "commander";
import { optionsOf } from "../client/of-command.ts";
import type { AddCommand, SetExitCode } from "../command.ts";
import { ENV_TYPES_FILE } from "../config/file-names.ts";
import { functionDirectory } from "../config/function-directory.ts";
import { EXIT_CODES } from "../failure.ts";
import { type Io, printJson, say } from "../io.ts";

export function addTypes(add: AddCommand, io: Io, setExitCode: SetExitCode): void {
  add([
    "sandpiper types",
    "sandpiper types hello",
    "sandpiper types --check     (for a pipeline: exit code 1 if stale)",
  ])
    .option("--check", "write nothing, and end with 1 when the file is not up to date")
    .action((directory: string | undefined, _options, command: Command) =>
      types(io, directory ?? ".", command, setExitCode),
    );
}

async function types(io: Io, given: string, command: Command, setExitCode: SetExitCode): Promise<void> {
  const { json, check = false } = optionsOf<{ check?: boolean }>(command);
  const directory = functionDirectory(io.cwd, given);
  const { loadConfig } = await import("../config/config-file.ts");
  const { envTypesOf, hasEnvTypes, writeEnvTypes } = await import("../config/env-types.ts");
  const { config } = await loadConfig(directory, realpathSync(io.cwd));
  const text = envTypesOf(config.env);
  const isCurrent = (await hasEnvTypes(directory, text)) === true;
  if (!check && !isCurrent) await writeEnvTypes(directory, text);
  if (check && !isCurrent) setExitCode(EXIT_CODES.internal.code);
  const file = join(directory, ENV_TYPES_FILE);
  if (json) return printJson(io, { file, current: isCurrent, written: !check && !isCurrent });
  const shown = relative(realpathSync(io.cwd), file) || file;
  if (!check) return say(io, isCurrent ? `${shown} is up to date` : `wrote ${shown}`);
  say(io, isCurrent ? `${shown} is up to date` : `${shown} is not up to date: run sandpiper types`);
}
