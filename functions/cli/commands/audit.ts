/** `sandpiper audit`: who administered what. */
import type { Command } from "commander";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { AuditInfo, AuditQuery } from "../../api/audit.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { durationMs, positiveInteger } from "../duration.ts";
import { type Io, printJson } from "../io.ts";

interface AuditOptions {
  tenant?: string;
  action?: string;
  since?: number;
  limit?: number;
}

export function addAudit(add: AddCommand, io: Io): void {
  add([
    "sandpiper audit",
    "sandpiper audit --action function.deploy --since 7d",
    "sandpiper audit --action key --json",
    "sandpiper audit --tenant acme                          (the operator; alone, what operators did)",
  ])
    .option("--tenant <tenant>", "another tenant's log, with the operator's key")
    .option("--action <action>", "only this action, or those that begin with this word: function, secret, key, ...")
    .option("--since <duration>", "only what is younger: 30s, 5m, 2h, 1d", durationMs)
    .option("--limit <count>", "at most so many entries, the youngest", positiveInteger)
    .action((_options, command: Command) => audit(io, command));
}

async function audit(io: Io, command: Command): Promise<void> {
  const { json, tenant, action, since, limit } = optionsOf<AuditOptions>(command);
  const query: AuditQuery = {
    ...(tenant !== undefined && { tenant }),
    ...(action !== undefined && { action }),
    ...(since !== undefined && { since: String(Math.max(0, Date.now() - since)) }),
    ...(limit !== undefined && { limit: String(limit) }),
  };
  const gateway = await gatewayOf(io, command);
  const { auditListSchema } = await import("../../api/audit.ts");
  const { entries } = await gateway.ask(auditListSchema, "GET", `/v1/audit?${new URLSearchParams(query)}`);
  if (json) return printJson(io, entries);
  for (const entry of entries) io.stdout.write(`${escapeLine(lineOf(entry))}\n`);
}

function lineOf({ time, tenant, keyId, operator, action, target, address, outcome }: AuditInfo): string {
  const who = operator ? `${keyId} (operator)` : keyId;
  return [time, tenant, who, address, action, target, outcome].filter((word) => word !== "").join("  ");
}
