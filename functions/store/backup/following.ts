/** Facts that follow from what a restore brings, made anew once it is there. */
import type { Redis } from "ioredis";
import { scanKeys } from "../../redis/scan.ts";
import { boundOf, forgetDomain, PROVEN } from "../domains/domains.ts";
import { functionKey, versionsKey } from "../function-keys.ts";
import { matcherOf } from "../key-table.ts";
import { NOTE_PROVISION, PROVISIONS } from "../provisions/provisions.ts";

const FUNCTIONS = matcherOf("sp:function:<tenant>:<function>");

/** KEYS: function, versions, provisions. ARGV: "tenant/function". */
const NOTE = `${NOTE_PROVISION}
noteProvision(KEYS[3], KEYS[2], ARGV[1], redis.call("HGET", KEYS[1], "alias:live") or "")`;

/**
 * Notes what functions have kept for them, and has the domains answer no more whose tenants claim
 * them no more. It may be done again.
 */
export async function settleRestored(redis: Redis): Promise<void> {
  const noted = new Set(await redis.hkeys(PROVISIONS));
  for await (const key of scanKeys(redis, "sp:function:*")) {
    const [, , tenant, functionName] = key.split(":");
    if (FUNCTIONS.test(key)) noted.add(`${tenant}/${functionName}`);
  }
  for (const name of noted) {
    const [tenant = "", functionName = ""] = name.split("/");
    const ref = { tenant, functionName };
    await redis.eval(NOTE, 3, functionKey(ref), versionsKey(ref), PROVISIONS, name);
  }
  for (const [domain, text] of Object.entries(await redis.hgetall(PROVEN))) {
    await forgetDomain(redis, boundOf(text).tenant, domain);
  }
}
