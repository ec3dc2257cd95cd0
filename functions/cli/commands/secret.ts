/** `sandpiper secret`: sets, lists and deletes secrets, and seals them with another master key. */
import type { Command } from "commander";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { SecretInfo } from "../../api/secrets.ts";
import type { Gateway } from "../client/gateway.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { CliError } from "../failure.ts";
import { type Io, printJson, say } from "../io.ts";

interface Asked {
  io: Io;
  gateway: Gateway;
  name: string | undefined;
  functionName: string | undefined;
  json: boolean;
}

const ACTIONS: Readonly<Record<string, (asked: Asked) => Promise<void>>> = { set, list, delete: remove, rewrap };

export function addSecret(add: AddCommand, io: Io): void {
  add([
    "sandpiper secret set STRIPE_KEY --function shop        asks for the value, and shows nothing of it",
    "sandpiper secret set TLS_KEY < key.pem                 for functions that name it in `secrets`",
    "sandpiper secret list",
    "sandpiper secret delete STRIPE_KEY --function shop",
    "sandpiper secret rewrap                                after a new master key came first",
  ])
    .option("-f, --function <function>", "the function whose secret it is; without it, it is the tenant's")
    .action((action: string, name: string | undefined, _options, command: Command) => {
      const run = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
      if (run === undefined) throw usage(`${JSON.stringify(action)} is nothing that can be done with secrets`);
      if (name !== undefined && run !== set && run !== remove) throw tooMuch(action, name);
      return start(io, command, run, name);
    });
}

async function start(io: Io, command: Command, run: (asked: Asked) => Promise<void>, name?: string): Promise<void> {
  const { function: functionName, json = false } = optionsOf<{ function?: string }>(command);
  await run({ io, gateway: await gatewayOf(io, command), name, functionName, json });
}

async function set({ io, gateway, name, functionName, json }: Asked): Promise<void> {
  const secret = nameOf(name, "set");
  const { readSecret } = await import("../read-secret.ts");
  const value = await readSecret(io, `Value of ${secret}`);
  const kept = await gateway.setSecret(secret, value, functionName);
  if (json) printJson(io, kept);
  else say(io, `set ${ownerOf(kept)} ${kept.name}, version ${kept.version}; functions have it within seconds`);
}

async function list({ io, gateway, functionName, json }: Asked): Promise<void> {
  const secrets = await gateway.secrets(functionName);
  if (json) return printJson(io, secrets);
  if (secrets.length === 0) return say(io, "no secrets; `sandpiper secret set NAME` sets one");
  const widths = [secrets.map(({ name }) => name), secrets.map(whose)].map((texts) =>
    Math.max(...texts.map(({ length }) => length)),
  );
  for (const secret of secrets) {
    const [name, owner] = [secret.name.padEnd(widths[0] ?? 0), whose(secret).padEnd(widths[1] ?? 0)];
    io.stdout.write(`${escapeLine(`${name}  ${owner}  version ${secret.version}  ${secret.updatedAt}`)}\n`);
  }
}

async function remove({ io, gateway, name, functionName, json }: Asked): Promise<void> {
  const secret = nameOf(name, "delete");
  await gateway.deleteSecret(secret, functionName);
  if (json) printJson(io, { deleted: secret, function: functionName ?? null });
  else say(io, `deleted ${secret}; functions lose it within seconds`);
}

async function rewrap({ io, gateway, json }: Asked): Promise<void> {
  const done = await gateway.rewrap();
  if (json) return printJson(io, done);
  const { masterKey, tenants, rewrapped, sealed = 0 } = done;
  // Others than operators are told of no numbers: they are of all tenants.
  if (rewrapped !== undefined) say(io, `${rewrapped} data keys of ${tenants} tenants were sealed anew`);
  say(io, `all data keys are sealed with the master key ${masterKey} now`);
  if (sealed > 0) say(io, `${sealed} old versions had their environment in clear, and have it sealed now`);
}

function nameOf(name: string | undefined, action: string): string {
  if (name === undefined) throw usage(`secret ${action} needs a name`);
  // The value would be in the shell's history, and in what all users see of processes.
  if (!name.includes("=")) return name;
  throw usage("a value is no part of the command line, where others can read it");
}

function whose({ function: owner }: SecretInfo): string {
  return owner ?? "(tenant)";
}

function ownerOf({ function: owner }: SecretInfo): string {
  return owner === null ? "the tenant's secret" : `the secret of ${owner}:`;
}

function tooMuch(action: string, name: string): CliError {
  return usage(`secret ${action} takes no name, and was given ${JSON.stringify(name)}`);
}

function usage(message: string): CliError {
  return new CliError("usage", message, {
    code: "USAGE",
    hint: "sandpiper secret set | list | delete | rewrap [NAME]",
  });
}
