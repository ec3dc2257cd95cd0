/** `sandpiper sign`: URLs by which anybody may call a function for a while. */
import type { Command } from "commander";
import { escapeLine } from "../../../infra/std/escape.ts";
import { sentPath } from "../../model/signed-url.ts";
import type { Gateway } from "../client/gateway.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { durationMs } from "../duration.ts";
import { CliError } from "../failure.ts";
import { type Io, printJson, say } from "../io.ts";

interface SignOptions {
  expires?: number;
  method?: string;
  alias?: string;
  rotate?: boolean;
  now?: boolean;
}

const DEFAULT_LIFETIME_MS = 3_600_000;

export function addSign(add: AddCommand, io: Io): void {
  add([
    "sandpiper sign report                                       prints a URL that counts for an hour",
    "sandpiper sign report '/2026/may.pdf?lang=en' --expires 7d",
    "sandpiper sign upload /photos --method PUT --expires 10m",
    "sandpiper sign report --alias staging",
    "sandpiper sign report --rotate                              URLs of the old key count until they expire",
    "sandpiper sign report --rotate --now                        and with this not at all",
  ])
    .option("--expires <duration>", "how long the URL counts: 10m, 12h, 7d at most (default: 1h)", durationMs)
    .option("-X, --method <method>", "the one method that it is for (default: GET, and HEAD with it)")
    .option("--alias <name>", "the URL of this alias or version, and not of the function")
    .option("--rotate", "replace the signing key, and sign nothing")
    .option("--now", "with --rotate: URLs of the old key stop to count at once")
    .action((name: string, path: string | undefined, _options, command: Command) => sign(io, name, path, command));
}

async function sign(io: Io, name: string, path: string | undefined, command: Command): Promise<void> {
  const { json = false, ...options } = optionsOf<SignOptions>(command);
  checkUsage(path, options);
  const gateway = await gatewayOf(io, command);
  if (options.rotate) return rotate(io, gateway, name, options.now ?? false, json);
  const sent = sentPath(path ?? "/");
  if (sent === null) throw new CliError("usage", `${JSON.stringify(path)} is no path`, { code: "BAD_PATH" });
  const { expires: lifetimeMs = DEFAULT_LIFETIME_MS, method = "GET", alias } = options;
  const { signUrl } = await import("../client/signed-urls.ts");
  const wish = { path: sent, method: method.toUpperCase(), lifetimeMs, ...(alias !== undefined && { alias }) };
  const signed = await signUrl(gateway, name, wish);
  if (json) return printJson(io, signed);
  io.stdout.write(`${escapeLine(signed.url)}\n`);
  say(io, `whoever has it may call ${escapeLine(name)} by ${escapeLine(signed.method)} until ${signed.expiresAt}`);
}

async function rotate(io: Io, gateway: Gateway, name: string, now: boolean, json: boolean): Promise<void> {
  const { rotateSigningKey } = await import("../client/signed-urls.ts");
  const made = await rotateSigningKey(gateway, name, now ? 0 : undefined);
  if (json) return printJson(io, made);
  const old = made.oldEndAt === null ? "no URL of before counts any more" : `URLs of before end by ${made.oldEndAt}`;
  say(io, `the key ${made.keyId} signs for ${escapeLine(name)} from now on; ${old}`);
}

function checkUsage(path: string | undefined, { rotate, now, expires, method, alias }: SignOptions): void {
  const hint = "sandpiper sign FUNCTION [PATH] --expires 1h, or sandpiper sign FUNCTION --rotate [--now]";
  if (now && !rotate) throw new CliError("usage", "--now goes with --rotate", { code: "USAGE", hint });
  const signs = [path, expires, method, alias].some((given) => given !== undefined);
  if (rotate && signs)
    throw new CliError("usage", "--rotate signs nothing: leave the rest out", { code: "USAGE", hint });
}
