/** `sandpiper promote`: the canary, or the version of an alias, is live for all calls. */
import type { Command } from "commander";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { type Io, printJson, say } from "../io.ts";
import { movedText } from "../show/moves.ts";

interface MoveOptions {
  message?: string;
  ifMatch?: string;
}

export function addPromote(add: AddCommand, io: Io): void {
  add([
    "sandpiper promote hello             (the canary gets all calls)",
    "sandpiper promote hello staging     (what the alias names is live)",
    "sandpiper promote hello 8f14e45fceea",
  ])
    .option("-m, --message <text>", "why; kept in the function's history")
    .option("--if-match <etag>", "only if this is the etag of `live`, as `alias list --json` shows it")
    .action((name: string, from: string | undefined, _options, command: Command) => promote(io, name, from, command));
}

async function promote(io: Io, name: string, from: string | undefined, command: Command): Promise<void> {
  const { message, ifMatch, json } = optionsOf<MoveOptions>(command);
  const { moveLive } = await import("../client/versions.ts");
  const asked = { ...(from !== undefined && { from }), ...(message !== undefined && { message }) };
  const live = await moveLive(await gatewayOf(io, command), name, "promote", asked, ifMatch);
  if (json) return printJson(io, live);
  say(io, movedText(name, live.routes));
}
