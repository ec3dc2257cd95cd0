/** The gateway that a command's options name. */
import type { Command } from "commander";
import { type Io, isUtf8, type OutputOptions } from "../io.ts";
import type { ConnectionOptions } from "./connection.ts";
import type { Gateway } from "./gateway.ts";

/**
 * A command's own options, and those that may stand before it. `url` is the gateway's: a bare
 * `--url` is not one.
 */
export function optionsOf<Options>(command: Command): Options & ConnectionOptions & OutputOptions {
  const { url, ...options } = command.optsWithGlobals();
  return { ...options, ...(typeof url === "string" && { url }) } as Options & ConnectionOptions & OutputOptions;
}

/** @throws CliError when no gateway is known; see findConnection. */
export async function gatewayOf(io: Io, command: Command): Promise<Gateway> {
  const { findConnection } = await import("./connection.ts");
  const { Gateway } = await import("./gateway.ts");
  const options = optionsOf(command);
  const connection = await findConnection(io, options);
  if (options.json || !io.stderr.isTTY) return new Gateway(connection, io.interrupted);
  const { whileWaiting } = await import("../terminal/spinner.ts");
  const spinner = { stream: io.stderr, isUtf8: isUtf8(io.env) };
  return new Gateway(connection, io.interrupted, (answer) => whileWaiting(answer, spinner));
}
