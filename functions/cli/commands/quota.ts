/** `sandpiper quota`: how much tenants and their functions may have and do. */
import type { Command } from "commander";
import { formatBytes, GIB, KIB, MIB } from "../../../infra/std/bytes.ts";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { QuotaListInfo, QuotaUse } from "../../api/quotas.ts";
import { countsBytes, mostOf, QUOTA_NAMES, QUOTAS, type QuotaName } from "../../model/quotas.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { CliError } from "../failure.ts";
import { type Io, printJson, styled } from "../io.ts";
import { table } from "../show/table.ts";

export function addQuota(add: AddCommand, io: Io): void {
  add([
    "sandpiper quota show",
    "sandpiper quota show acme                                        (all limits, and what is used)",
    "sandpiper quota set acme memoryInUse=2GiB bodyBytesPerDay=100GiB cpuSecondsPerMinute=120",
    "sandpiper quota set acme callsPerSecond=100 deploysPerHour=20",
    "sandpiper quota set acme callsPerSecond=5 --function report",
    "sandpiper quota set acme callsPerSecond=default                  (as for all tenants again)",
    "sandpiper quota set acme functions=0                             (any number)",
  ])
    .option("--function <name>", "set the limit of this function of the tenant alone")
    .action((action: string, tenant: string | undefined, limits: string[], _options, command: Command) =>
      quota(io, { action, tenant, limits }, command),
    );
}

const COUNT = /^(\d{1,10})$/;
const BYTES = /^(\d{1,16})(KiB|MiB|GiB)?$/;
const UNITS: Readonly<Record<string, number>> = { KiB: KIB, MiB: MIB, GiB: GIB };

interface Asked {
  action: string;
  tenant: string | undefined;
  limits: readonly string[];
}

async function quota(io: Io, { action, tenant, limits }: Asked, command: Command): Promise<void> {
  const { json, function: functionName } = optionsOf<{ function?: string }>(command);
  if (action !== "show" && action !== "set") throw wrong(`there is no "${action}" of quota`);
  if (action === "set" && (tenant === undefined || limits.length === 0)) throw wrong("name a tenant and a limit");
  const change = { limits: Object.fromEntries(limits.map(readLimit)) };
  const gateway = await gatewayOf(io, command);
  if (action === "show" && tenant !== undefined) {
    const use = await gateway.quotaUse(tenant);
    return json ? printJson(io, use) : tellUse(io, use);
  }
  const all =
    action === "show"
      ? await gateway.quotas()
      : await gateway.setQuotas(tenant ?? "", { ...change, ...(functionName && { function: functionName }) });
  const quotas = all.quotas.filter((one) => tenant === undefined || one.tenant === tenant);
  if (json) printJson(io, { ...all, quotas });
  else tell(io, { ...all, quotas });
}

function readLimit(text: string): [QuotaName, number | null] {
  const [name = "", value = ""] = text.split("=");
  if (!QUOTA_NAMES.includes(name as QuotaName)) throw wrong(`there is no quota "${name}": ${QUOTA_NAMES.join(", ")}`);
  if (value === "default") return [name as QuotaName, null];
  return [name as QuotaName, numberOf(name as QuotaName, value)];
}

function numberOf(name: QuotaName, text: string): number {
  const [, digits = "", unit = ""] = (countsBytes(name) ? BYTES : COUNT).exec(text) ?? [];
  const value = Number(digits) * (UNITS[unit] ?? 1);
  if (digits !== "" && value <= mostOf(name)) return value;
  const units = countsBytes(name) ? `, with KiB, MiB or GiB after it if you like,` : "";
  throw wrong(`${name} is a number${units} up to ${mostOf(name)}, or "default"; not "${text}"`);
}

function wrong(message: string): CliError {
  const hint = "sandpiper quota show [tenant], set <tenant> <name>=<number>...";
  return new CliError("usage", message, { code: "USAGE", hint });
}

function tellUse(io: Io, { limits }: QuotaUse): void {
  const [first = "", ...lines] = table([
    ["LIMIT", "FUNCTION", "MAY HAVE", "HAS", "DEFAULT"],
    ...limits.map(({ name, function: functionName, limit, default: usual, used }) => [
      ...[name, functionName ?? "", numberText(name, limit || null)],
      ...[numberText(name, used), numberText(name, usual || null)],
    ]),
  ]);
  io.stdout.write(`${[styled(io.stdout, "bold", first), ...lines].join("\n")}\n`);
}

/** @param count null: any number, or not known */
function numberText(name: QuotaName, count: number | null): string {
  if (count === null) return "-";
  return countsBytes(name) ? formatBytes(count) : String(count);
}

function tell(io: Io, { default: defaults, quotas }: QuotaListInfo): void {
  const scopes = [
    { name: "all tenants without a limit of their own", limits: defaults },
    ...quotas.map((one) => ({
      name: [one.tenant, ...(one.function ? [one.function] : [])].join("/"),
      limits: one.limits,
    })),
  ];
  for (const { name, limits } of scopes) {
    io.stdout.write(`${styled(io.stdout, "bold", escapeLine(name))}\n`);
    for (const quotaName of QUOTA_NAMES) {
      const limit = limits[quotaName];
      if (limit === undefined) continue;
      io.stdout.write(`  ${quotaName.padEnd(20)} ${limit === 0 ? "any number of" : limit} ${QUOTAS[quotaName].unit}\n`);
    }
  }
}
