/** `sandpiper deploy`: check the configuration, collect the files, upload them. */
import { realpathSync } from "node:fs";
import type { Command } from "commander";
import { formatBytes } from "../../../infra/std/bytes.ts";
import { escapeControls, escapeLine } from "../../../infra/std/escape.ts";
import type { Deployed } from "../../api/schemas.ts";
import { type AutoOptions, addAutoOptions, autoOf } from "../canary-options.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { entryFile, functionDirectory } from "../config/function-directory.ts";
import { CliError } from "../failure.ts";
import { columnsOf, type Io, printJson, say, styled } from "../io.ts";
import { changeLines, contentsLines } from "../show/deployment.ts";
import { percentOf, stickyOf } from "../show/moves.ts";
import type { DeployFacts } from "../upload/deploy-files.ts";
import type { Upload } from "../upload/upload.ts";

export function addDeploy(add: AddCommand, io: Io): void {
  const command = add([
    "sandpiper deploy",
    "sandpiper deploy hello",
    'curl "$(sandpiper deploy hello)"',
    "sandpiper deploy hello --dry-run     (list what would be uploaded)",
    "sandpiper deploy hello --no-check    (do not load it first to see that it can be loaded)",
    "sandpiper deploy hello --env staging --var RELEASE=1.5",
    "sandpiper deploy hello --message 'rounds up' --tag v1.5",
    "sandpiper deploy hello --canary 10%  (gets 10 % of the calls; then: sandpiper promote, or rollback)",
    "sandpiper deploy hello --canary 10% --auto     (is promoted or taken back by itself)",
  ])
    .option("--dry-run", "collect and check the files and list them, but upload nothing")
    .option("--no-check", "have it go live without loading it in a sandbox first")
    .option("--env <name>", "deploy this environment of sandpiper.jsonc, as a function of its own")
    .option("--var <name=value>", "set a variable of `env` as well; as often as needed", collect)
    .option("-m, --message <text>", "why; kept with the version and in the function's history")
    .option("--tag <tag>", "a name for the version, such as a release's")
    .option("--canary <share>", "give it a share of the calls, such as 10%, beside the version that is live")
    .option(
      "--sticky <what>",
      "with --canary: a caller gets the same version each time, by header:NAME or cookie:NAME",
    );
  addAutoOptions(command).action((directory: string | undefined, _options, self: Command) =>
    deploy(io, directory ?? ".", self),
  );
}

interface FactOptions extends AutoOptions {
  message?: string;
  tag?: string;
  canary?: string;
  sticky?: string;
}

interface DeployCommandOptions extends FactOptions {
  dryRun?: boolean;
  check: boolean;
  env?: string;
  var?: string[];
}

async function deploy(io: Io, given: string, command: Command): Promise<void> {
  const { json, dryRun, check, env, var: variables = [], ...words } = optionsOf<DeployCommandOptions>(command);
  const facts = factsOf(words);
  const directory = functionDirectory(io.cwd, given);
  const { loadConfig } = await import("../config/config-file.ts");
  const { collectUpload } = await import("../upload/upload.ts");
  const { withVariables } = await import("../config/environments.ts");
  const read = await loadConfig(directory, realpathSync(io.cwd), env);
  const loaded = { ...read, config: withVariables(read.config, variables) };
  const entry = entryFile(directory, loaded);
  const color = io.stderr.isTTY && io.stderr.hasColors() && !io.env.NO_COLOR;
  const format = { color: color && !json, terminalWidth: columnsOf(io.stderr) };
  // The bundler is a process of its own: what talks to the gateway is loaded meanwhile.
  const collecting = collectUpload(directory, entry, format, { ...loaded.config, wrongField: loaded.wrongField });
  collecting.catch(() => {});
  const gateway = dryRun ? null : await gatewayOf(io, command);
  const upload = await collecting;
  // With --json, stderr is for one JSON object, if anything.
  const tellProgress = (text: string) => json || say(io, text);
  for (const warning of upload.warnings) tellProgress(warning.trimEnd());
  if (!gateway) {
    const { canonicalEgress, textOf } = await import("../../model/egress-entry.ts");
    const egress = canonicalEgress(loaded.config.egress ?? []).map(textOf);
    if (json) printJson(io, { ...listing(upload), egress });
    else showUpload(io, upload, egress);
    return;
  }

  tellProgress(`uploading ${loaded.config.name}: ${upload.files.length} files, ${formatBytes(upload.totalBytes)}`);
  const { deployFiles } = await import("../upload/deploy-files.ts");
  const bar =
    json || !io.stderr.isTTY ? null : new (await import("../terminal/progress-bar.ts")).ProgressBar(io.stderr);
  try {
    const { config } = loaded;
    const onUploaded = (sentBytes: number, ofBytes: number) => bar?.show(sentBytes, ofBytes);
    const deployed = await deployFiles(gateway, { config, ...upload }, { facts, check, onUploaded });
    bar?.end();
    if (json) return printJson(io, deployed);
    // The bundler of this machine has said before what the worker's says.
    const untold = deployed.warnings.filter((text) => upload.warnings.length === 0 || !BUNDLERS_OWN.test(text));
    tell(io, { ...deployed, warnings: untold }, facts.canary?.auto !== undefined);
  } finally {
    bar?.end();
  }
}

function collect(word: string, words: string[] = []): string[] {
  return [...words, word];
}

function factsOf({ message, tag, canary, sticky, ...terms }: FactOptions): DeployFacts {
  const auto = autoOf(terms);
  if (canary === undefined && (sticky !== undefined || auto !== undefined)) {
    throw new CliError("usage", "--sticky and --auto are for --canary", { code: "USAGE" });
  }
  return {
    ...(message !== undefined && { message }),
    ...(tag !== undefined && { tag }),
    ...(canary !== undefined && {
      canary: { percent: percentOf(canary), sticky: stickyOf(sticky), ...(auto && { auto }) },
    }),
  };
}

/** A warning as esbuild formats it. */
const BUNDLERS_OWN = /^▲ \[WARNING\] /;

/** @param isWatched whether it is a canary that watches itself. */
function tell(io: Io, deployed: Deployed, isWatched: boolean): void {
  const { name, version, url, sharedUrl, created, bundleBytes, handler, warnings, egress } = deployed;
  const { versionUrl, percent, contents, changes } = deployed;
  for (const warning of warnings) say(io, `${styled(io.stderr, "yellow", "warning:")} ${escapeControls(warning)}`);
  const what = created ? "deployed" : "updated";
  say(
    io,
    `${styled(io.stderr, "green", what)} ${name}: version ${version.slice(0, 12)}, bundle ${formatBytes(bundleBytes)}`,
  );
  for (const line of contentsLines(contents)) say(io, line);
  for (const line of changeLines(changes, io.stderr)) say(io, line);
  if (handler !== null) say(io, `handler: ${escapeLine(handler)}`);
  for (const rule of egress.added) say(io, `egress: ${styled(io.stderr, "green", "+")} ${escapeLine(rule)}`);
  for (const rule of egress.removed) say(io, `egress: ${styled(io.stderr, "red", "-")} ${escapeLine(rule)}`);
  const until = isWatched ? "it is promoted or taken back by itself" : "sandpiper promote, or rollback";
  if (percent < 100) say(io, `canary: it gets ${percent} % of the calls until ${until}`);
  if (versionUrl !== null) say(io, `this version alone: ${escapeLine(versionUrl)}`);
  if (sharedUrl !== url) say(io, `also at ${escapeLine(sharedUrl)}`);
  io.stdout.write(`${escapeLine(url)}\n`);
}

function listing({ root, entry, files, totalBytes }: Upload) {
  return { root, entry, files: files.map(({ path, bytes }) => ({ path, bytes: bytes.byteLength })), totalBytes };
}

function showUpload(io: Io, { root, files, totalBytes }: Upload, egress: readonly string[]): void {
  for (const { path, bytes } of files) {
    io.stdout.write(`${formatBytes(bytes.byteLength).padStart(10)}  ${escapeLine(path)}\n`);
  }
  say(io, `${files.length} files, ${formatBytes(totalBytes)}, relative to ${root}; nothing was uploaded`);
  if (egress.length > 0) say(io, `egress: ${egress.map(escapeLine).join(" ")}`);
}
