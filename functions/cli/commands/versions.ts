/** `sandpiper versions`: the versions of a function that are kept, and which of them are called. */
import type { Command } from "commander";
import type { VersionInfo } from "../../api/versions.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { type Io, printJson, styled } from "../io.ts";
import { table } from "../show/table.ts";

export function addVersions(add: AddCommand, io: Io): void {
  add(["sandpiper versions hello", "sandpiper versions hello --json | jq -r '.[0].url'"]).action(
    (name: string, _options, command: Command) => versions(io, name, command),
  );
}

async function versions(io: Io, name: string, command: Command): Promise<void> {
  const { listVersions } = await import("../client/versions.ts");
  const found = await listVersions(await gatewayOf(io, command), name);
  if (optionsOf(command).json) return printJson(io, found);
  const header = ["VERSION", "DEPLOYED", "CALLED AS", "TAG", "MESSAGE", "URL"];
  const [first = "", ...lines] = table([header, ...found.map(row)]);
  io.stdout.write(`${[styled(io.stdout, "bold", first), ...lines].map((line) => `${line}\n`).join("")}`);
}

function row({ version, deployedAt, createdAt, aliases, tag, message, url }: VersionInfo): string[] {
  const names = aliases.map(({ alias, percent }) => (percent === 100 ? alias : `${alias} ${percent}%`)).join(", ");
  return [version.slice(0, 12), deployedAt ?? createdAt, names || "-", tag ?? "-", message ?? "-", url ?? "-"];
}
