/** A gateway's steps when Redis has gone back in time. */
import type { Redis } from "ioredis";
import { linkOf } from "../functions/redis/link.ts";
import type { ProvenDomains } from "../functions/store/domains/proven-domains.ts";
import type { CurrentVersions } from "./call/current-versions.ts";
import type { Calls } from "./call/waiting-calls.ts";

export interface ChangeParts {
  calls: Calls;
  versions: CurrentVersions;
  domains: ProvenDomains;
  /** Makes the first key valid again, which the Redis of before knew. */
  registerKey: () => Promise<void>;
  /** Told when that failed. */
  onTrouble: (message: string, error: unknown) => void;
}

/**
 * Forgets what the Redis of before said. Calls that wait there are gone with it; those that a
 * worker has cannot be told from them. A Redis that was started anew has answered them by its end.
 */
export function followRedisChanges(redis: Redis, parts: ChangeParts): void {
  const { calls, versions, domains } = parts;
  linkOf(redis).on("change", ({ restarted, wentBack }) => {
    if (!wentBack) return;
    versions.forgetAll();
    domains.look();
    if (!restarted && calls.accepting) {
      calls.shut();
      calls.open();
    }
    parts.registerKey().catch((error) => parts.onTrouble("the first API key could not be registered again", error));
  });
}
