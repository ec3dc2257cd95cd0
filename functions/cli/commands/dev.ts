/** `sandpiper dev`: a function in a sandbox while it is written, each change live at once. */
import { type Command, InvalidArgumentError } from "commander";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { functionDirectory } from "../config/function-directory.ts";
import type { Io } from "../io.ts";

interface DevOptions {
  port?: number;
  open?: boolean;
}

export function addDev(add: AddCommand, io: Io): void {
  add([
    "sandpiper dev",
    "sandpiper dev hello --open",
    "sandpiper dev hello --port 4000",
    "sandpiper dev hello --json | jq -r 'select(.event == \"failed\").message'",
  ])
    .option("--port <port>", "the port of the function's URL on this machine; 0 is any that is free", port)
    .option("--open", "open the function in a browser")
    .action((directory: string | undefined, _options, command: Command) => dev(io, directory ?? ".", command));
}

async function dev(io: Io, given: string, command: Command): Promise<void> {
  const { json = false, port, open = false } = optionsOf<DevOptions>(command);
  const directory = functionDirectory(io.cwd, given);
  const { runDev } = await import("../dev/run.ts");
  // The function is deleted after Ctrl-C, so that requests outlive it.
  const closing = new AbortController();
  const gateway = await gatewayOf({ ...io, interrupted: closing.signal }, command);
  await runDev(io, { gateway, directory, port, isOpened: open, json });
}

function port(text: string): number {
  const value = Number(text);
  if (!/^\d{1,5}$/.test(text) || value > 65_535) throw new InvalidArgumentError("A port is a number from 0 to 65535.");
  return value;
}
