/** `sandpiper quota`: how much tenants and their functions may have and do. */
import type { Command } from "commander";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { QuotaListInfo } from "../../api/quotas.ts";
import { MAX_QUOTA, QUOTA_NAMES, QUOTAS, type QuotaName } from "../../model/quotas.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { CliError } from "../failure.ts";
import { type Io, printJson, styled } from "../io.ts";

export function addQuota(add: AddCommand, io: Io): void {
  add([
    "sandpiper quota show",
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
  if (!/^\d{1,10}$/.test(value) || Number(value) > MAX_QUOTA)
    throw wrong(`${name} is a number up to ${MAX_QUOTA}, or "default"; not "${value}"`);
  return [name as QuotaName, Number(value)];
}

function wrong(message: string): CliError {
  const hint = "sandpiper quota show [tenant], set <tenant> <name>=<number>...";
  return new CliError("usage", message, { code: "USAGE", hint });
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
      io.stdout.write(`  ${quotaName.padEnd(16)} ${limit === 0 ? "any number of" : limit} ${QUOTAS[quotaName].unit}\n`);
    }
  }
}
