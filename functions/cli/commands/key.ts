/** `sandpiper key`: API keys, and what each may do. */
import type { Command } from "commander";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { KeyInfo, MadeKeyInfo, NewKey } from "../../api/keys.ts";
import { SCOPES } from "../../model/scopes.ts";
import type { Gateway } from "../client/gateway.ts";
import { createKey, listKeys, revokeKey, rotateKey } from "../client/keys.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { durationMs } from "../duration.ts";
import { CliError } from "../failure.ts";
import { type Io, printJson, say, styled } from "../io.ts";

interface KeyOptions {
  scope?: string[];
  function?: string[];
  expires?: number;
  overlap?: number;
  note?: string;
  tenant?: string;
  yes?: boolean;
}

interface Asked {
  io: Io;
  gateway: Gateway;
  id: string;
  options: KeyOptions;
  json: boolean;
}

const ACTIONS: Readonly<Record<string, (asked: Asked) => Promise<void>>> = { create, list, rotate, revoke };
const WITHOUT_ID = ["create", "list"];
const DEFAULT_OVERLAP_MS = 0;

export function addKey(add: AddCommand, io: Io): void {
  add([
    "sandpiper key create --scope deploy --function shop --expires 30d     prints the key, this once",
    "sandpiper key create --scope admin --tenant acme                      the operator, for a new tenant",
    "sandpiper key list",
    "sandpiper key rotate 0b5c2c1e7f3a --overlap 24h",
    "sandpiper key revoke 0b5c2c1e7f3a",
  ])
    .option("-s, --scope <scope...>", `what it may do: ${SCOPES.join(", ")}`)
    .option("-f, --function <function...>", "only with these functions")
    .option("--expires <duration>", "it ends then: 12h, 30d", durationMs)
    .option("--overlap <duration>", "for how long the old key stays valid: 24h", durationMs)
    .option("--note <text>", "what it is for, in the list of keys")
    .option("--tenant <tenant>", "another tenant's keys, with the operator's key")
    .option("-y, --yes", "do not ask before a key is revoked")
    .action(async (action: string, id: string | undefined, _options, command: Command) => {
      const run = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
      if (run === undefined) throw usage(`${JSON.stringify(action)} is nothing that can be done with keys`);
      const takesId = !WITHOUT_ID.includes(action);
      if ((id === undefined) === takesId) throw usage(`key ${action} takes ${takesId ? "a key's id" : "no id"}`);
      const { json = false, ...options } = optionsOf<KeyOptions>(command);
      await run({ io, gateway: await gatewayOf(io, command), id: id ?? "", options, json });
    });
}

async function create(asked: Asked): Promise<void> {
  const { scope, function: functions, expires, note, tenant } = asked.options;
  if (scope === undefined) throw usage(`say what the key may do: --scope ${SCOPES.join(" | ")}`);
  const wrong = scope.find((one) => !(SCOPES as readonly string[]).includes(one));
  if (wrong !== undefined) throw usage(`${JSON.stringify(wrong)} is no scope; there are ${SCOPES.join(", ")}`);
  const wish: NewKey = {
    scopes: scope as NewKey["scopes"],
    ...(functions !== undefined && { functions }),
    ...(expires !== undefined && { lifetimeMs: expires }),
    ...(note !== undefined && { note }),
  };
  show(asked, await createKey(asked.gateway, wish, tenant));
}

async function rotate(asked: Asked): Promise<void> {
  const { overlap = DEFAULT_OVERLAP_MS, tenant } = asked.options;
  show(asked, await rotateKey(asked.gateway, asked.id, overlap, tenant));
  say(asked.io, overlap === 0 ? `${asked.id} is no key any more` : `${asked.id} ends after the overlap`);
}

async function list({ io, gateway, options, json }: Asked): Promise<void> {
  const keys = await listKeys(gateway, options.tenant);
  if (json) return printJson(io, keys);
  for (const key of keys) io.stdout.write(`${styled(io.stdout, "bold", key.keyId)}  ${escapeLine(wordsOf(key))}\n`);
}

async function revoke({ io, gateway, id, options, json }: Asked): Promise<void> {
  const question = `Revoke the key ${escapeLine(id)}? Whoever uses it is refused at once.`;
  if (!options.yes && !(await confirmed(io, `revoking the key ${id}`, question))) return say(io, "nothing was revoked");
  await revokeKey(gateway, id, options.tenant);
  if (json) printJson(io, { revoked: id });
  else say(io, `revoked ${escapeLine(id)}`);
}

/** The key alone goes to stdout, so that it can be piped to where it is kept. */
function show({ io, json }: Asked, made: MadeKeyInfo): void {
  if (json) printJson(io, made);
  else io.stdout.write(`${made.key}\n`);
  say(io, `the key ${made.keyId} is shown this once: ${escapeLine(wordsOf(made))}`);
}

function wordsOf({ scopes, functions, operator, note, expiresAt, lastUsedAt }: KeyInfo): string {
  const words = [
    scopes.join(","),
    functions === null ? "all functions" : functions.join(","),
    expiresAt === null ? "does not expire" : `expires ${expiresAt}`,
    lastUsedAt === null ? "never used" : `used ${lastUsedAt}`,
    ...(operator ? ["an operator's"] : []),
    ...(note === null ? [] : [note]),
  ];
  return words.join("  ");
}

function usage(message: string): CliError {
  const hint = "sandpiper key create --scope SCOPE, list, rotate ID --overlap 24h, revoke ID";
  return new CliError("usage", message, { code: "USAGE", hint });
}
