/** `sandpiper list`: the functions that are deployed. */
import type { Command } from "commander";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { type Io, printJson, say, styled } from "../io.ts";
import { table } from "../show/table.ts";

export function addList(add: AddCommand, io: Io): void {
  add(["sandpiper list", "sandpiper list --json | jq -r '.[].url'"]).action((_options, command: Command) =>
    list(io, command),
  );
}

async function list(io: Io, command: Command): Promise<void> {
  const functions = await (await gatewayOf(io, command)).list();
  if (optionsOf(command).json) return printJson(io, functions);
  if (functions.length === 0) return say(io, "nothing is deployed yet: sandpiper init hello && sandpiper deploy hello");
  const rows = functions.map(({ name, version, config, updatedAt, url }) => [
    name,
    version.slice(0, 12),
    `${config.memoryMiB} MiB`,
    `${config.timeoutMs} ms`,
    updatedAt,
    url,
  ]);
  const header = ["NAME", "VERSION", "MEMORY", "TIMEOUT", "UPDATED", "URL"];
  const [first = "", ...lines] = table([header, ...rows]);
  io.stdout.write(`${[styled(io.stdout, "bold", first), ...lines].join("\n")}\n`);
}
