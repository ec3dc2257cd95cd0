/** A gateway's work for environments that an older Sandpiper left in clear. */
import type { Redis } from "ioredis";
import type { DataKeys } from "../functions/store/data-keys.ts";
import { Registry } from "../functions/store/registry.ts";
import { sealClearVersions } from "../functions/store/seal-versions.ts";
import { SecretStore } from "../functions/store/secrets.ts";
import type { Logger } from "../infra/log.ts";

/** Seals all of them, and says how many there were. Never rejects. */
export async function sealOldVersions(redis: Redis, dataKeys: DataKeys, log: Logger): Promise<void> {
  try {
    const count = await sealClearVersions(redis, new Registry(redis), new SecretStore(redis, dataKeys));
    if (count > 0) log.warn(`sealed the environments of ${count} versions that an older Sandpiper left in clear`);
  } catch (error) {
    // The next start does what was left, and so does a rewrap.
    log.warn("environments of old versions were not sealed", { error });
  }
}
