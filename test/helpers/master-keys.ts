/** Master keys of tests. */
import { randomBytes } from "node:crypto";
import { MasterKeys } from "../../functions/secrets/master-keys.ts";

/** A line of a file of master keys. */
export function newKeyLine(): string {
  return randomBytes(32).toString("base64");
}

/** Master keys of these lines; of one new key without. */
export function masterKeysOf(...lines: string[]): MasterKeys {
  return MasterKeys.parse(lines.length === 0 ? newKeyLine() : lines.join("\n"));
}
