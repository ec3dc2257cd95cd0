/** `sandpiper delete`: a function is gone, and its URL with it. */
import type { Command } from "commander";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { type Io, printJson, say } from "../io.ts";

export function addDelete(add: AddCommand, io: Io): void {
  add(["sandpiper delete hello", "sandpiper delete hello --yes"])
    .option("-y, --yes", "do not ask")
    .action((name: string, _options, command: Command) => remove(io, name, command));
}

async function remove(io: Io, name: string, command: Command): Promise<void> {
  const { yes, json } = optionsOf<{ yes?: boolean }>(command);
  const gateway = await gatewayOf(io, command);
  if (!yes && !(await confirmed(io, `deleting ${name}`, `Delete ${name}? Its URL stops answering.`)))
    return say(io, "nothing was deleted");
  await gateway.delete(name);
  if (json) printJson(io, { deleted: name });
  else say(io, `deleted ${name}`);
}
