/** The settings that say where master keys come from. */
import { resolve } from "node:path";
import type { EnvironmentReader } from "./environment.ts";
import type { MasterKeySource } from "./master-keys.ts";

/**
 * Where master keys come from; null: nobody said it. One place, so that nobody wonders which of
 * several counts: more are a problem, which the reader notes.
 */
export function masterKeySource(read: EnvironmentReader): MasterKeySource | null {
  const file = read.text("SANDPIPER_MASTER_KEY_FILE");
  const text = read.text("SANDPIPER_MASTER_KEY");
  const command = read.text("SANDPIPER_MASTER_KEY_COMMAND");
  const given = [file, text, command].filter((one) => one !== null);
  if (given.length > 1) {
    read.problem(
      "SANDPIPER_MASTER_KEY_FILE",
      "excludes SANDPIPER_MASTER_KEY and SANDPIPER_MASTER_KEY_COMMAND: give one",
    );
  }
  if (file !== null) return { from: "file", path: resolve(file) };
  if (command !== null) return { from: "command", command };
  return text === null ? null : { from: "environment", text };
}
