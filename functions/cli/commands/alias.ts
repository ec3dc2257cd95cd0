/** `sandpiper alias`: names of a function that can be moved from version to version. */
import type { Command } from "commander";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { AliasInfo } from "../../api/versions.ts";
import { type AutoOptions, addAutoOptions, autoOf, autoText } from "../canary-options.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { CliError } from "../failure.ts";
import { type Io, printJson, say, styled } from "../io.ts";
import { routesOf, routesText, stickyOf } from "../show/moves.ts";

interface AliasOptions extends AutoOptions {
  message?: string;
  sticky?: string;
  ifMatch?: string;
}

const ACTIONS: readonly string[] = ["set", "list", "delete"];

export function addAlias(add: AddCommand, io: Io): void {
  const command = add([
    "sandpiper alias list hello",
    "sandpiper alias set hello staging 8f14e45fceea",
    "sandpiper alias set hello live v1.4 v1.5=10%           (10 % of the calls go to v1.5)",
    "sandpiper alias set hello live v1.4 v1.5=10% --sticky cookie:session",
    "sandpiper alias set hello live v1.4 v1.5=10% --auto    (v1.5 is promoted or taken back by itself)",
    "sandpiper alias delete hello staging",
  ])
    .option("-m, --message <text>", "why; kept in the function's history")
    .option("--sticky <what>", "give a caller the same version each time: header:NAME or cookie:NAME")
    .option("--if-match <etag>", "move it only if this is its etag, as `alias list --json` shows it");
  addAutoOptions(command).action(
    (action: string, name: string, alias: string | undefined, versions: string[], _options, self: Command) =>
      act(io, { action, name, alias, versions }, self),
  );
}

interface Asked {
  action: string;
  name: string;
  alias: string | undefined;
  versions: readonly string[];
}

async function act(io: Io, { action, name, alias, versions }: Asked, command: Command): Promise<void> {
  const { json, message, sticky, ifMatch, ...terms } = optionsOf<AliasOptions>(command);
  if (!ACTIONS.includes(action)) throw wrong(`there is no "${action}" of aliases`);
  const { deleteAlias, listAliases, setAlias } = await import("../client/versions.ts");
  if (action === "list") {
    const aliases = await listAliases(await gatewayOf(io, command), name);
    if (json) return printJson(io, aliases);
    for (const one of aliases) io.stdout.write(line(io, one));
    return;
  }
  if (alias === undefined) throw wrong("the alias is missing");
  if (action === "delete") {
    await deleteAlias(await gatewayOf(io, command), name, alias, ifMatch);
    return json ? printJson(io, { deleted: alias }) : say(io, `deleted the alias ${alias} of ${name}`);
  }
  if (versions.length === 0) throw wrong("name a version");
  const auto = autoOf(terms);
  const words = { ...(auto && { auto }), ...(message !== undefined && { message }) };
  const wish = { routes: routesOf(versions), sticky: stickyOf(sticky), ...words };
  const set = await setAlias(await gatewayOf(io, command), name, alias, wish, ifMatch);
  if (json) return printJson(io, set);
  io.stdout.write(line(io, set));
}

function wrong(message: string): CliError {
  const hint = "sandpiper alias list <function>, set <function> <alias> <version[=10%]>, delete <function> <alias>";
  return new CliError("usage", message, { code: "USAGE", hint });
}

function line(io: Io, { alias, routes, sticky, auto, url }: AliasInfo): string {
  const by =
    sticky === null ? "" : `  by ${"header" in sticky ? `header ${sticky.header}` : `cookie ${sticky.cookie}`}`;
  const rest = `${routesText(routes)}${escapeLine(by)}${autoText(auto)}  ${escapeLine(url ?? "-")}`;
  return `${styled(io.stdout, "bold", escapeLine(alias).padEnd(12))}  ${rest}\n`;
}
