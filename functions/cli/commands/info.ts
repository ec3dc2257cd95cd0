/** `sandpiper info`: one function in detail. */
import type { Command } from "commander";
import { formatBytes } from "../../../infra/std/bytes.ts";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { FunctionInfo } from "../../api/schemas.ts";
import type { AliasInfo } from "../../api/versions.ts";
import { autoText } from "../canary-options.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { type Io, printJson, styled } from "../io.ts";
import { historyText, routesText } from "../show/moves.ts";

/** Moves that a terminal shows; `--json` has all that are kept. */
const LATEST_SHOWN = 10;

export function addInfo(add: AddCommand, io: Io): void {
  const examples = [
    "sandpiper info hello",
    'curl "$(sandpiper info hello --url)"',
    "sandpiper --url http://127.0.0.1:8787 info hello     (the gateway's URL stands before `info`)",
  ];
  add(examples, { ownUrlOption: true })
    .option("--url", "print the function's URL and nothing else")
    .action((name: string, _options, command: Command) => info(io, name, command));
}

async function info(io: Io, name: string, command: Command): Promise<void> {
  const gateway = await gatewayOf(io, command);
  const found = await gateway.info(name);
  if (command.opts().url === true) return void io.stdout.write(`${escapeLine(found.url)}\n`);
  const { listAliases, readHistory } = await import("../client/versions.ts");
  const [aliases, history] = await Promise.all([listAliases(gateway, name), readHistory(gateway, name)]);
  if (optionsOf(command).json) return printJson(io, { ...found, aliases, history });
  io.stdout.write(describe(io, found, aliases[0]));
  const latest = history.slice(0, LATEST_SHOWN).map((entry) => `  ${historyText(entry)}\n`);
  if (latest.length > 0) io.stdout.write(`${styled(io.stdout, "bold", "history")}\n${latest.join("")}`);
}

/** @param live its alias `live`. */
function describe(io: Io, info: FunctionInfo, live: AliasInfo | undefined): string {
  const { name, url, sharedUrl, version, config, entry, handler, warnings, bundleBytes, files, updatedAt } = info;
  const { domains, routes } = info;
  const env = Object.keys(config.env);
  const { egress = [] } = config;
  const facts: [string, string][] = [
    ["name", name],
    ["url", url],
    ...(sharedUrl === url ? [] : [["also at", sharedUrl] as [string, string]]),
    ...(domains.length === 0 ? [] : [["domains", domainsText(domains)] as [string, string]]),
    ...(routes.length === 0 ? [] : [["routes", routesAtText(routes)] as [string, string]]),
    ["version", version],
    ...(live && live.routes.length > 1
      ? [["live", routesText(live.routes) + autoText(live.auto)] as [string, string]]
      : []),
    ["entry", entry],
    ["handler", handler ?? config.handler ?? "not looked at"],
    ...(config.kind === undefined ? [] : [["kind", config.kind] as [string, string]]),
    ["memory", `${config.memoryMiB} MiB`],
    ["timeout", `${config.timeoutMs} ms`],
    ["isolation", isolation(info)],
    ...(info.warm === null ? [] : [["warm", warmText(info.warm)] as [string, string]]),
    ...(info.reservedSlots === null ? [] : [["reserved", reservedText(info)] as [string, string]]),
    ...(info.held ? [["held", "by a process that it ends with, such as sandpiper dev"] as [string, string]] : []),
    [
      "egress",
      egress.length === 0 ? "none" : egress.map((entry) => (typeof entry === "string" ? entry : entry.to)).join(", "),
    ],
    ["env", env.length === 0 ? "none" : env.join(", ")],
    ["bundle", `${formatBytes(bundleBytes)} from ${files.length} files`],
    ["updated", updatedAt],
    ...warnings.map((warning): [string, string] => ["warning", firstLine(warning)]),
  ];
  return facts.map(([key, value]) => `${styled(io.stdout, "bold", key.padEnd(9))} ${escapeLine(value)}\n`).join("");
}

function domainsText(domains: FunctionInfo["domains"]): string {
  const words = domains.map(({ name, alias, proven }) => {
    return `${name}${alias === null ? "" : ` (${alias})`}${proven ? "" : " (not proven)"}`;
  });
  return words.join(", ");
}

function warmText({ wanted, ready, problem, next }: NonNullable<FunctionInfo["warm"]>): string {
  const change = next === null ? "" : `, ${next.count} from ${next.at}`;
  return `${ready} of ${wanted} instances${change}${problem === null ? "" : `: ${problem}`}`;
}

function routesAtText(routes: FunctionInfo["routes"]): string {
  return routes.map(({ route, proven }) => `${route}${proven ? "" : " (not proven)"}`).join(", ");
}

function reservedText({ config, reservedSlots }: FunctionInfo): string {
  const { reserved = 0 } = config.concurrency ?? {};
  return reservedSlots === reserved
    ? `${reserved} slots`
    : `${reservedSlots} of ${reserved} slots, as workers have few`;
}

/** The bundler shows the source on further lines. */
function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}

function isolation({ config, noTemplateReason }: FunctionInfo): string {
  const each = config.isolation === "invocation" ? "call" : "instance";
  return noTemplateReason === null
    ? config.isolation
    : `${config.isolation}, by loading it for each ${each}, because ${noTemplateReason}`;
}
