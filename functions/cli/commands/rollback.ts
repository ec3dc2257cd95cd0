/** `sandpiper rollback`: an earlier version is live again, at once. */
import type { Command } from "commander";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { type Io, printJson, say } from "../io.ts";
import { movedText } from "../show/moves.ts";

interface MoveOptions {
  message?: string;
  ifMatch?: string;
}

export function addRollback(add: AddCommand, io: Io): void {
  add(["sandpiper rollback hello", "sandpiper rollback hello v1.4 --message 'totals are wrong'"])
    .option("-m, --message <text>", "why; kept in the function's history")
    .option("--if-match <etag>", "only if this is the etag of `live`, as `alias list --json` shows it")
    .action((name: string, version: string | undefined, _options, command: Command) =>
      rollback(io, name, version, command),
    );
}

async function rollback(io: Io, name: string, version: string | undefined, command: Command): Promise<void> {
  const { message, ifMatch, json } = optionsOf<MoveOptions>(command);
  const { moveLive } = await import("../client/versions.ts");
  const asked = { ...(version !== undefined && { version }), ...(message !== undefined && { message }) };
  const live = await moveLive(await gatewayOf(io, command), name, "rollback", asked, ifMatch);
  if (json) return printJson(io, live);
  say(io, movedText(name, live.routes));
}
