/** `sandpiper open`: a function in the user's browser. */
import type { Command } from "commander";
import { escapeLine } from "../../../infra/std/escape.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { CliError } from "../failure.ts";
import { type Io, printJson, say } from "../io.ts";
import { openUrl } from "../show/open-url.ts";

export function addOpen(add: AddCommand, io: Io): void {
  add(["sandpiper open hello", "BROWSER=firefox sandpiper open hello"]).action(
    (name: string, _options, command: Command) => openFunction(io, name, command),
  );
}

async function openFunction(io: Io, name: string, command: Command): Promise<void> {
  const { url } = await (await gatewayOf(io, command)).info(name);
  const problem = await openUrl(io, url);
  if (problem !== null) {
    const hint = `set BROWSER to a program that opens URLs, or open it yourself: ${escapeLine(url)}`;
    throw new CliError("internal", problem, { code: "NO_BROWSER", hint });
  }
  if (optionsOf(command).json) printJson(io, { opened: url });
  else say(io, `opened ${escapeLine(url)}`);
}
