/** The first API key. */
import { readFile } from "node:fs/promises";
import type { Redis } from "ioredis";
import { registerKey } from "../functions/store/tenant.ts";

/** The key that `npm start` made is the first one of the tenant "main". */
export async function registerBootstrapKey(redis: Redis, file: string | null): Promise<void> {
  if (file !== null) await registerKey(redis, "main", (await readFile(file, "utf8")).trim());
}
