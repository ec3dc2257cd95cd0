/** `sandpiper tenant`: the owners of functions, as the operator makes and ends them. */
import { type Command, InvalidArgumentError } from "commander";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { TenantDetails } from "../../api/tenants.ts";
import { MAX_WEIGHT, USUAL_WEIGHT } from "../../model/tenants.ts";
import type { Gateway } from "../client/gateway.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import { changeTenant, createTenant, deleteTenant, listTenants, moveTenant, showTenant } from "../client/tenants.ts";
import type { AddCommand } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { CliError } from "../failure.ts";
import { type Io, printJson, say, styled } from "../io.ts";

interface Asked {
  io: Io;
  gateway: Gateway;
  tenant: string;
  weight: number | undefined;
  yes: boolean;
  json: boolean;
}

const ACTIONS: Readonly<Record<string, (asked: Asked) => Promise<void>>> = {
  create: async (asked) => tell(asked, await createTenant(asked.gateway, asked.tenant, asked.weight), "made"),
  list,
  info: async (asked) => tell(asked, await showTenant(asked.gateway, asked.tenant)),
  set: async (asked) => {
    if (asked.weight === undefined) throw usage("tenant set takes --weight");
    tell(asked, await changeTenant(asked.gateway, asked.tenant, asked.weight), "changed");
  },
  suspend: async (asked) => tell(asked, await moveTenant(asked.gateway, asked.tenant, "suspend"), "suspended"),
  resume: async (asked) => tell(asked, await moveTenant(asked.gateway, asked.tenant, "resume"), "resumed"),
  delete: remove,
};

export function addTenant(add: AddCommand, io: Io): void {
  add([
    "sandpiper tenant create acme",
    "sandpiper tenant list",
    "sandpiper tenant set acme --weight 200    (twice the part of others when all want more than there is)",
    "sandpiper tenant suspend acme     (calls and changes are refused, and all stays)",
    "sandpiper tenant resume acme",
    "sandpiper tenant delete acme      (with all that it has; asks first)",
  ])
    .option("--weight <number>", `part beside other tenants, 1 to ${MAX_WEIGHT}; of create and set`, weightFrom)
    .option("-y, --yes", "do not ask before a deletion")
    .action(async (action: string, tenant: string | undefined, _options, command: Command) => {
      const run = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
      if (run === undefined) throw usage(`${JSON.stringify(action)} is nothing that can be done with tenants`);
      if ((tenant === undefined) !== (action === "list")) throw usage(`tenant ${action} takes ${takes(action)}`);
      const { yes = false, json = false, weight } = optionsOf<{ yes?: boolean; weight?: number }>(command);
      if (weight !== undefined && !WEIGHING.includes(action)) throw usage(`tenant ${action} takes no --weight`);
      await run({ io, gateway: await gatewayOf(io, command), tenant: tenant ?? "", weight, yes, json });
    });
}

/** Actions that take a weight. */
const WEIGHING = ["create", "set"];

/** @throws InvalidArgumentError */
function weightFrom(text: string): number {
  const weight = Number(text);
  if (/^\d{1,4}$/.test(text) && weight >= 1 && weight <= MAX_WEIGHT) return weight;
  throw new InvalidArgumentError(
    `A weight is a whole number from 1 to ${MAX_WEIGHT}; ${USUAL_WEIGHT} is the usual one.`,
  );
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

function lineOf(io: Io, { tenant, state, since, createdAt, weight }: TenantDetails): string {
  const words = [state, ...(since === null ? [] : [`since ${since}`]), `made ${createdAt}`, `weight ${weight}`];
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
  const hint = "sandpiper tenant create | info | set | suspend | resume | delete TENANT, tenant list";
  return new CliError("usage", message, { code: "USAGE", hint });
}
