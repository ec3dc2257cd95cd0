/** `sandpiper info`: one function in detail. */
import type { Command } from "commander";
import { formatBytes } from "../../../infra/std/bytes.ts";
import { escapeLine } from "../../../infra/std/escape.ts";
import type { FunctionInfo } from "../../api/schemas.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { type Io, printJson, styled } from "../io.ts";

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
  const found = await (await gatewayOf(io, command)).info(name);
  if (command.opts().url === true) io.stdout.write(`${escapeLine(found.url)}\n`);
  else if (optionsOf(command).json) printJson(io, found);
  else io.stdout.write(describe(io, found));
}

function describe(io: Io, info: FunctionInfo): string {
  const { name, url, sharedUrl, version, config, entry, handler, warnings, bundleBytes, files, updatedAt } = info;
  const env = Object.keys(config.env);
  const { egress = [] } = config;
  const facts: [string, string][] = [
    ["name", name],
    ["url", url],
    ...(sharedUrl === url ? [] : [["also at", sharedUrl] as [string, string]]),
    ["version", version],
    ["entry", entry],
    ["handler", handler ?? config.handler ?? "not looked at"],
    ...(config.kind === undefined ? [] : [["kind", config.kind] as [string, string]]),
    ["memory", `${config.memoryMiB} MiB`],
    ["timeout", `${config.timeoutMs} ms`],
    ["isolation", isolation(info)],
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
