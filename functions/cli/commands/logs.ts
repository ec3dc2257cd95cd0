/** `sandpiper logs`: what functions wrote, and how their calls ended. */
import type { Command } from "commander";
import type { LogsQuery } from "../../api/schemas.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { durationMs, positiveInteger } from "../duration.ts";
import type { Io } from "../io.ts";
import { formatLogLine } from "../show/log-lines.ts";

interface LogOptions {
  follow?: boolean;
  invocation?: string;
  since?: number;
  limit?: number;
}

export function addLogs(add: AddCommand, io: Io): void {
  add([
    "sandpiper logs hello",
    "sandpiper logs hello -f                         (until Ctrl-C)",
    "sandpiper logs hello --since 5m --limit 1000",
    "sandpiper logs hello --invocation 0b5c2c1e-…    (x-request-id of the answer)",
  ])
    .option("-f, --follow", "keep showing what comes, until Ctrl-C")
    .option("--invocation <id>", "only this invocation")
    .option("--since <duration>", "only what is younger: 30s, 5m, 2h, 1d", durationMs)
    .option("--limit <count>", "at most so many lines, the youngest", positiveInteger)
    .action((name: string, _options, command: Command) => logs(io, name, command));
}

async function logs(io: Io, name: string, command: Command): Promise<void> {
  const { json, follow, invocation, since, limit } = optionsOf<LogOptions>(command);
  const gateway = await gatewayOf(io, command);
  const query: LogsQuery = {
    ...(follow && { follow: "1" }),
    ...(invocation !== undefined && { invocation }),
    ...(since !== undefined && { since: String(Date.now() - since) }),
    ...(limit !== undefined && { limit: String(limit) }),
  };
  try {
    for await (const line of gateway.logs(name, query)) {
      io.stdout.write(json ? `${JSON.stringify(line)}\n` : formatLogLine(line, io.stdout));
    }
  } catch (error) {
    // Ctrl-C is how following ends.
    if (!io.interrupted.aborted) throw error;
  }
}
