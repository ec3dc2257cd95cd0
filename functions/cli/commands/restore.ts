/** `sandpiper restore`: a backup becomes a Sandpiper again. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { Command } from "commander";
import type { BackupSummary } from "../../model/backup/summary.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { CliError } from "../failure.ts";
import { type Io, printJson, say } from "../io.ts";

interface RestoreOptions {
  dryRun?: boolean;
  replace?: boolean;
  /** commander: --without-secrets. */
  withoutSecrets?: boolean;
  yes?: boolean;
}

export function addRestore(add: AddCommand, io: Io): void {
  add([
    "sandpiper restore sandpiper.backup --dry-run         (looks at the file alone, and says what is in it)",
    "sandpiper restore sandpiper.backup",
    "sandpiper restore sandpiper.backup --replace         (what is there goes; asks first)",
    "age -d -i KEY sandpiper.backup.age | sandpiper restore -",
  ])
    .option("--dry-run", "only look whether the file is whole, and say what is in it")
    .option("--replace", "also where there are functions, tenants or secrets, all of which go")
    .option("--without-secrets", "leave secrets out, when their master key is lost or is not to be here")
    .option("-y, --yes", "do not ask before --replace")
    .action((file: string, _options, command: Command) => restore(io, file, command));
}

async function restore(io: Io, name: string, command: Command): Promise<void> {
  const options = optionsOf<RestoreOptions>(command);
  const { dryRun = false, replace = false, withoutSecrets = false, yes = false, json = false } = options;
  const isStdin = name === "-";
  const path = resolve(io.cwd, name);
  const read = (): AsyncIterable<Uint8Array> => (isStdin ? io.stdin : createReadStream(path));
  if (!isStdin) await checkFile(path);
  const { passBackup, Upload } = await import("../client/backups.ts");
  if (dryRun) return tell(io, json, await passBackup(read()), "it has");
  // Known before anything is asked or sent.
  if (!isStdin) await passBackup(read());
  const gateway = await gatewayOf(io, command);
  const what = `replacing all that ${gateway.connection.url} has`;
  const question = `Replace all functions, tenants, secrets and keys of ${gateway.connection.url}?`;
  if (replace && !yes && !(await confirmed(io, what, question))) return say(io, "nothing was restored");
  const upload = new Upload(gateway);
  try {
    await passBackup(read(), (piece) => upload.add(piece));
    await tell(io, json, await upload.restore({ replace, withoutSecrets }), "restored");
  } catch (error) {
    await upload.drop();
    throw error;
  }
}

async function checkFile(path: string): Promise<void> {
  const info = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw new CliError("usage", `${path} cannot be read: ${cause.code ?? cause.message}`, { code: "NO_FILE", cause });
  });
  if (!info.isFile()) throw new CliError("usage", `${path} is no file`, { code: "NO_FILE" });
}

async function tell(io: Io, json: boolean, summary: BackupSummary, done: string): Promise<void> {
  if (json) return printJson(io, summary);
  const { functionLines, sizeLine, warningsOf } = await import("../show/backup-text.ts");
  for (const line of functionLines(summary)) io.stdout.write(`${line}\n`);
  for (const line of [`${done} ${sizeLine(summary)}`, ...warningsOf(summary)]) say(io, line);
}
