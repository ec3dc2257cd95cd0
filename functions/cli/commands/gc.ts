/** `sandpiper gc`: removes what nobody needs any more, or says what that would be. */
import type { Command } from "commander";
import { formatBytes } from "../../../infra/std/bytes.ts";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { CollectionInfo } from "../../api/schemas.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { type Io, printJson, say } from "../io.ts";

export function addGc(add: AddCommand, io: Io): void {
  add(["sandpiper gc --dry-run", "sandpiper gc --json | jq .removed.bytes"])
    .option("--dry-run", "only say what would be removed now")
    .action((_options, command: Command) => gc(io, command));
}

async function gc(io: Io, command: Command): Promise<void> {
  const { dryRun = false, json } = optionsOf<{ dryRun?: boolean }>(command);
  const collection = await (await gatewayOf(io, command)).gc(dryRun);
  if (json) return printJson(io, collection);
  for (const { name, version, unusedSince } of collection.versions) {
    io.stdout.write(`${escapeLine(`${name}  ${version.slice(0, 12)}  not run since ${unusedSince}`)}\n`);
  }
  say(io, describe(collection));
}

function describe({ dryRun, versions, removed, setAside, waiting }: CollectionInfo): string {
  const [done, would] = dryRun ? ["would be ", " would be"] : ["", ""];
  const files = (what: string, count: CollectionInfo["removed"]) =>
    count === undefined
      ? []
      : [`${count.files} ${count.files === 1 ? "file" : "files"} ${what} (${formatBytes(count.bytes)})`];
  const old = `${versions.length} old ${versions.length === 1 ? "version" : "versions"}${would} removed`;
  const told = [files(`${done}removed`, removed), files(`${done}set aside`, setAside), files("waiting", waiting)];
  return [old, ...told.flat()].join(", ");
}
