/** `sandpiper domain`: host names of a tenant's own, at which its functions answer. */
import type { Command } from "commander";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { DomainInfo } from "../../api/domains.ts";
import { domainTargetText, readDomainTarget } from "../../model/domain-target.ts";
import { addDomain as claim, listDomains, removeDomain, verifyDomain } from "../client/domains.ts";
import type { Gateway } from "../client/gateway.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { CliError } from "../failure.ts";
import { type Io, printJson, say, styled } from "../io.ts";

interface DomainOptions {
  verified?: boolean;
  take?: boolean;
  tenant?: string;
  yes?: boolean;
}

interface Asked {
  io: Io;
  gateway: Gateway;
  name: string;
  target: string;
  options: DomainOptions;
  json: boolean;
}

interface Action {
  /** Arguments behind the action. */
  takes: readonly string[];
  run: (asked: Asked) => Promise<void>;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  add: { takes: ["a domain", "a function"], run: add },
  list: { takes: [], run: list },
  verify: { takes: ["a domain"], run: verify },
  remove: { takes: ["a domain"], run: remove },
};

export function addDomain(addCommand: AddCommand, io: Io): void {
  const command = addCommand([
    "sandpiper domain add shop.example.com shop          prints the DNS record that proves it",
    "sandpiper domain verify shop.example.com            looks the record up; the domain answers then",
    "sandpiper domain add next.example.com shop@staging  an alias of the function",
    "sandpiper domain list",
    "sandpiper domain remove shop.example.com",
    "sandpiper domain verify shop.example.com --tenant acme --verified     the operator, without the DNS",
  ]);
  command.registeredArguments[0]?.choices(Object.keys(ACTIONS));
  command
    .option("--verified", "take the domain for proven, with the operator's key")
    .option("--take", "with --verified: also from a tenant that has proven it")
    .option("--tenant <tenant>", "another tenant's domains, with the operator's key")
    .option("-y, --yes", "do not ask before a domain is removed")
    .action(async (action: string, name: string | undefined, target: string | undefined, _options, self: Command) => {
      const { takes, run } = ACTIONS[action] as Action;
      if ([name, target].filter((word) => word !== undefined).length !== takes.length) {
        throw usage(`domain ${action} takes ${takes.join(" and ") || "no further words"}`);
      }
      const { json = false, ...options } = optionsOf<DomainOptions>(self);
      await run({ io, gateway: await gatewayOf(io, self), name: name ?? "", target: target ?? "", options, json });
    });
}

async function add({ io, gateway, name, target: text, options, json }: Asked): Promise<void> {
  const target = readDomainTarget(text);
  if (target === null) throw usage(`${JSON.stringify(text)} is no function and no FUNCTION@ALIAS`);
  const { functionName, alias } = target;
  const wish = { function: functionName, ...(alias !== null && { alias }) };
  const { tenant, verified = false, take = false } = options;
  const added = await claim(gateway, name, wish, tenant);
  const found = verified ? await verifyDomain(gateway, added.name, { verified, take }, tenant) : added;
  show(io, found, json);
}

async function verify({ io, gateway, name, options, json }: Asked): Promise<void> {
  const { tenant, verified = false, take = false } = options;
  show(io, await verifyDomain(gateway, name, { verified, take }, tenant), json);
}

async function list({ io, gateway, options, json }: Asked): Promise<void> {
  const domains = await listDomains(gateway, options.tenant);
  if (json) return printJson(io, domains);
  for (const domain of domains) {
    const { name, proven, problem } = domain;
    const state = proven === null ? "not proven" : (problem ?? `proven ${proven.at} by ${proven.by}`);
    io.stdout.write(`${styled(io.stdout, "bold", escapeLine(name))}  ${escapeLine(`${targetOf(domain)}  ${state}`)}\n`);
  }
}

async function remove({ io, gateway, name, options, json }: Asked): Promise<void> {
  const question = `Remove the domain ${escapeLine(name)}? Nobody answers there from then on.`;
  if (!options.yes && !(await confirmed(io, `removing the domain ${name}`, question)))
    return say(io, "nothing was removed");
  await removeDomain(gateway, name, options.tenant);
  if (json) printJson(io, { removed: name });
  else say(io, `removed ${escapeLine(name)}`);
}

/** Of a domain that answers the URL goes to stdout, of another one the record that it lacks. */
function show(io: Io, domain: DomainInfo, json: boolean): void {
  if (json) return void printJson(io, domain);
  const { name, url, proven, record } = domain;
  if (proven !== null) {
    say(io, `${escapeLine(targetOf(domain))} answers at ${escapeLine(name)}`);
    return void io.stdout.write(`${escapeLine(url)}\n`);
  }
  say(io, `make this DNS record, then: sandpiper domain verify ${escapeLine(name)}`);
  io.stdout.write(`${escapeLine(record.name)}. ${record.type} "${escapeLine(record.value)}"\n`);
}

function targetOf({ function: functionName, alias }: DomainInfo): string {
  return domainTargetText({ functionName, alias });
}

function usage(message: string): CliError {
  const hint = "sandpiper domain add NAME FUNCTION[@ALIAS], verify NAME, remove NAME, list";
  return new CliError("usage", message, { code: "USAGE", hint });
}
