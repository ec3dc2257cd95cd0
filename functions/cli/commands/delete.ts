/** `sandpiper delete`: a function is gone, and its URL with it. */
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { CliError } from "../failure.ts";
import { type Io, printJson, say } from "../io.ts";

export function addDelete(add: AddCommand, io: Io): void {
  add(["sandpiper delete hello", "sandpiper delete hello --yes"])
    .option("-y, --yes", "do not ask")
    .action((name: string, _options, command: Command) => remove(io, name, command));
}

async function remove(io: Io, name: string, command: Command): Promise<void> {
  const { yes, json } = optionsOf<{ yes?: boolean }>(command);
  const gateway = await gatewayOf(io, command);
  if (!yes && !(await confirmed(io, name))) return say(io, "nothing was deleted");
  await gateway.delete(name);
  if (json) printJson(io, { deleted: name });
  else say(io, `deleted ${name}`);
}

async function confirmed(io: Io, name: string): Promise<boolean> {
  if (!io.stdin.isTTY) {
    throw new CliError("usage", `deleting ${name} needs --yes, as there is no terminal to ask on`, {
      code: "NEEDS_YES",
    });
  }
  const lines = createInterface({ input: io.stdin, output: io.stderr });
  try {
    const answer = await lines.question(`Delete ${name}? Its URL stops answering. [y/N] `, { signal: io.interrupted });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
