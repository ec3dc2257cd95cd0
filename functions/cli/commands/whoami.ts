/** `sandpiper whoami`: the gateway and the key that commands use here. */
import type { Command } from "commander";
import { escapeLine } from "../../../infra/std/escape.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { type Io, printJson, styled } from "../io.ts";

export function addWhoami(add: AddCommand, io: Io): void {
  add(["sandpiper whoami", "sandpiper whoami --json | jq -r .tenant"]).action((_options, command: Command) =>
    whoami(io, command),
  );
}

async function whoami(io: Io, command: Command): Promise<void> {
  const gateway = await gatewayOf(io, command);
  const { url, source } = gateway.connection;
  const { tenant, keyId, publicUrl, operator, scopes, functions, expiresAt } = await gateway.whoami();
  const grant = { scopes, functions, expiresAt };
  const facts = { tenant, keyId, operator, ...grant, gateway: url, publicUrl, source };
  if (optionsOf(command).json) return printJson(io, facts);
  for (const [name, value] of [
    ["tenant", tenant],
    ["key", operator ? `${keyId}, an operator's` : keyId],
    ["scopes", scopes.join(", ")],
    ["for", functions === null ? "all functions" : functions.join(", ")],
    ["expires", expiresAt ?? "never"],
    ["gateway", publicUrl === url ? url : `${url}, which calls itself ${publicUrl}`],
    ["from", source],
  ] as const) {
    io.stdout.write(`${styled(io.stdout, "bold", name.padEnd(8))} ${escapeLine(value)}\n`);
  }
}
