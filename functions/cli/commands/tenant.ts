/** `sandpiper tenant`: the owners of functions, as the operator makes and ends them. */
import type { Command } from "commander";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { TenantDetails } from "../../api/tenants.ts";
import type { Gateway } from "../client/gateway.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import { createTenant, deleteTenant, listTenants, moveTenant, showTenant } from "../client/tenants.ts";
import type { AddCommand } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { CliError } from "../failure.ts";
import { type Io, printJson, say, styled } from "../io.ts";

interface Asked {
  io: Io;
  gateway: Gateway;
  tenant: string;
  yes: boolean;
  json: boolean;
}

const ACTIONS: Readonly<Record<string, (asked: Asked) => Promise<void>>> = {
  create: async (asked) => tell(asked, await createTenant(asked.gateway, asked.tenant), "made"),
  list,
  info: async (asked) => tell(asked, await showTenant(asked.gateway, asked.tenant)),
  suspend: async (asked) => tell(asked, await moveTenant(asked.gateway, asked.tenant, "suspend"), "suspended"),
  resume: async (asked) => tell(asked, await moveTenant(asked.gateway, asked.tenant, "resume"), "resumed"),
  delete: remove,
};

export function addTenant(add: AddCommand, io: Io): void {
  add([
    "sandpiper tenant create acme",
    "sandpiper tenant list",
    "sandpiper tenant suspend acme     (calls and changes are refused, and all stays)",
    "sandpiper tenant resume acme",
    "sandpiper tenant delete acme      (with all that it has; asks first)",
  ])
    .option("-y, --yes", "do not ask before a deletion")
    .action(async (action: string, tenant: string | undefined, _options, command: Command) => {
      const run = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
      if (run === undefined) throw usage(`${JSON.stringify(action)} is nothing that can be done with tenants`);
      if ((tenant === undefined) !== (action === "list")) throw usage(`tenant ${action} takes ${takes(action)}`);
      const { yes = false, json = false } = optionsOf<{ yes?: boolean }>(command);
      await run({ io, gateway: await gatewayOf(io, command), tenant: tenant ?? "", yes, json });
    });
}

const takes = (action: string): string => (action === "list" ? "no name" : "the tenant's name");

async function list({ io, gateway, json }: Asked): Promise<void> {
  const tenants = await listTenants(gateway);
  if (json) return printJson(io, tenants);
  for (const tenant of tenants) io.stdout.write(lineOf(io, tenant));
}

function tell({ io, json }: Asked, tenant: TenantDetails, done?: string): void {
  if (json) printJson(io, tenant);
  else if (done === undefined) io.stdout.write(lineOf(io, tenant));
  else say(io, `${done} ${escapeLine(tenant.tenant)}`);
}

function lineOf(io: Io, { tenant, state, since, createdAt }: TenantDetails): string {
  const words = [state, ...(since === null ? [] : [`since ${since}`]), `made ${createdAt}`];
  return `${styled(io.stdout, "bold", escapeLine(tenant))}  ${escapeLine(words.join("  "))}\n`;
}

async function remove({ io, gateway, tenant, yes, json }: Asked): Promise<void> {
  const question = `Delete the tenant ${escapeLine(tenant)} with its functions, secrets, keys and logs?`;
  if (!yes && !(await confirmed(io, `deleting the tenant ${tenant}`, question))) return say(io, "nothing was deleted");
  const deleted = await deleteTenant(gateway, tenant);
  if (json) return printJson(io, deleted);
  say(io, `deleted ${escapeLine(deleted.tenant)}`);
  for (const [kind, count] of Object.entries(deleted.removed)) {
    if (count > 0) io.stdout.write(`${String(count).padStart(8)}  ${escapeLine(NAMES[kind] ?? kind)}\n`);
  }
}

const NAMES: Readonly<Record<string, string>> = {
  logEntries: "entries of logs",
  auditEntries: "entries of the audit log",
  sourceFiles: "source files",
  records: "records of calls",
  grants: "lists of egress grants",
  redisKeys: "keys of Redis in all",
};

function usage(message: string): CliError {
  const hint = "sandpiper tenant create | info | suspend | resume | delete TENANT, tenant list";
  return new CliError("usage", message, { code: "USAGE", hint });
}
