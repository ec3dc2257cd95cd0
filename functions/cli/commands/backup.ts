/** `sandpiper backup`: all that is kept, in one file. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { open, rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import type { Command } from "commander";
import type { BackupSummary } from "../../model/backup/summary.ts";
import type { Gateway } from "../client/gateway.ts";
import { gatewayOf, optionsOf } from "../client/of-command.ts";
import type { AddCommand } from "../command.ts";
import { CliError } from "../failure.ts";
import { type Io, printJson, say } from "../io.ts";

export function addBackup(add: AddCommand, io: Io): void {
  add([
    "sandpiper backup /var/backups/sandpiper.backup",
    "sandpiper backup - | age -r RECIPIENT > sandpiper.backup.age",
  ]).action((file: string, _options, command: Command) => backup(io, file, command));
}

async function backup(io: Io, file: string, command: Command): Promise<void> {
  const { json } = optionsOf<object>(command);
  const isStdout = file === "-";
  if (isStdout && (json || io.stdout.isTTY)) {
    const why = json ? "--json takes stdout, and so does the file" : "a backup is no text for a terminal";
    throw new CliError("usage", why, { code: "USAGE", hint: "name a file" });
  }
  const gateway = await gatewayOf(io, command);
  const summary = isStdout ? await intoStdout(io, gateway) : await intoFile(gateway, resolve(io.cwd, file));
  if (json) return printJson(io, summary);
  const { sizeLine, warningsOf } = await import("../show/backup-text.ts");
  for (const line of [`backed up ${sizeLine(summary)}`, ...warningsOf(summary)]) say(io, line);
}

async function intoStdout({ stdout }: Io, gateway: Gateway): Promise<BackupSummary> {
  const { madeBackup, passBackup } = await import("../client/backups.ts");
  return passBackup(madeBackup(gateway), async (piece) => {
    if (!stdout.write(piece)) await once(stdout, "drain");
  });
}

/** The name is given to a whole file alone: one of before stays until then. */
async function intoFile(gateway: Gateway, path: string): Promise<BackupSummary> {
  const { madeBackup, passBackup } = await import("../client/backups.ts");
  const temporary = `${path}.${randomUUID()}.tmp`;
  const file = await open(temporary, "wx", 0o600).catch((cause: NodeJS.ErrnoException) => {
    throw new CliError("usage", `${path} cannot be written: ${cause.code ?? cause.message}`, {
      code: "NO_FILE",
      cause,
    });
  });
  try {
    const summary = await passBackup(madeBackup(gateway), (piece) => file.writeFile(piece));
    await file.sync();
    await file.close();
    await rename(temporary, path);
    return summary;
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
    throw error;
  }
}
