/** `sandpiper logs`: what functions wrote, and how their calls ended. */
import { type Command, InvalidArgumentError } from "commander";
import type { LogsQuery } from "../../api/schemas.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
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

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** "5m" in milliseconds. @throws InvalidArgumentError for anything else. */
export function durationMs(text: string): number {
  const [, count, unit = ""] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError("A duration is a number and one of s, m, h, d: 5m");
  return Number(count) * (UNITS_MS[unit] ?? 0);
}

function positiveInteger(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("It must be a whole number from 1.");
  return Number(text);
}
