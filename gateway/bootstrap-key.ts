/** The first API key. */
import { readFile } from "node:fs/promises";
import type { Redis } from "ioredis";
import { makeOperatorKey, registerKey } from "../functions/store/tenant.ts";

/**
 * The key that `npm start` made is the first one of the tenant "main", and the operator's: whoever
 * can read the file runs the machine.
 */
export async function registerBootstrapKey(redis: Redis, file: string | null): Promise<void> {
  if (file === null) return;
  const { keyId } = await registerKey(redis, "main", (await readFile(file, "utf8")).trim());
  await makeOperatorKey(redis, keyId);
}
