/** `sandpiper usage`: what functions used. */
import { type Command, InvalidArgumentError } from "commander";
import { formatBytes } from "../../../infra/std/bytes.ts";
import type { HourUsageInfo, UsageQuery } from "../../api/usage.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { type Io, printJson, say, styled } from "../io.ts";
import { table } from "../show/table.ts";

interface UsageOptions {
  tenant?: string;
  function?: string;
  from?: string;
  to?: string;
}

export function addUsage(add: AddCommand, io: Io): void {
  add([
    "sandpiper usage                                        (of the last 24 hours)",
    "sandpiper usage --from 2026-11-01 --to 2026-12-01 --json",
    "sandpiper usage --function report --from 2026-11-30T08:00:00Z",
    "sandpiper usage --tenant acme                          (the operator; alone, of all tenants)",
  ])
    .option("--tenant <tenant>", "another tenant's usage, with the operator's key")
    .option("--function <name>", "only of this function, which may be deleted")
    .option("--from <time>", "from the hour with this date or time on, of RFC 3339; UTC unless it says else", isoTime)
    .option("--to <time>", "until the hour with this one", isoTime)
    .action((_options, command: Command) => usage(io, command));
}

/** A date, or a date and a time, as RFC 3339 has them. @throws InvalidArgumentError */
function isoTime(text: string): string {
  const shape = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/;
  if (!shape.test(text) || Number.isNaN(Date.parse(text)))
    throw new InvalidArgumentError("A time looks like 2026-11-30, or 2026-11-30T08:00:00Z.");
  return new Date(text).toISOString();
}

async function usage(io: Io, command: Command): Promise<void> {
  const { json, tenant, function: functionName, from, to } = optionsOf<UsageOptions>(command);
  const query: UsageQuery = {
    ...(tenant !== undefined && { tenant }),
    ...(functionName !== undefined && { function: functionName }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
  };
  const gateway = await gatewayOf(io, command);
  const { usageListSchema } = await import("../../api/usage.ts");
  const found = await gateway.ask(usageListSchema, "GET", `/v1/usage?${new URLSearchParams(query)}`);
  if (json) return printJson(io, found);
  say(io, `from ${found.from} until ${found.to}`);
  if (found.usage.length === 0) return say(io, "nothing was used");
  const rows = sums(found.usage).map((one) => [
    one.tenant,
    one.function,
    String(one.calls),
    `${(one.cpuMs / 1_000).toFixed(3)} s`,
    `${one.memoryMibSeconds.toFixed(1)} MiB s`,
    formatBytes(one.bytesIn),
    formatBytes(one.bytesOut),
  ]);
  const [first = "", ...lines] = table([["TENANT", "FUNCTION", "CALLS", "CPU", "MEMORY", "IN", "OUT"], ...rows]);
  io.stdout.write(`${[styled(io.stdout, "bold", first), ...lines].join("\n")}\n`);
}

/** All hours of each function together. */
function sums(hours: readonly HourUsageInfo[]): HourUsageInfo[] {
  const byFunction = new Map<string, HourUsageInfo>();
  for (const hour of hours) {
    const name = `${hour.tenant}/${hour.function}`;
    const sum = byFunction.get(name);
    if (sum === undefined) {
      byFunction.set(name, { ...hour });
      continue;
    }
    for (const counter of ["calls", "cpuMs", "memoryMibSeconds", "bytesIn", "bytesOut"] as const)
      sum[counter] += hour[counter];
  }
  return [...byFunction.keys()].sort().map((name) => byFunction.get(name) as HourUsageInfo);
}
