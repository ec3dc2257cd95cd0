/** Use of what quotas count, by tenant, for whoever asks. */
import type { QuotaUse } from "../../functions/api/quotas.ts";
import { QUOTA_NAMES, type QuotaName } from "../../functions/model/quotas.ts";
import { linkOf } from "../../functions/redis/link.ts";
import { countVersions } from "../../functions/store/limits/kept-versions.ts";
import { bodyBytesByHour, cpuSecondsSpent, type Spender } from "../../functions/store/limits/spending.ts";
import { storedOf, sumOfStored } from "../../functions/store/limits/stored-bytes.ts";
import { deploysCounted } from "../../functions/store/quotas.ts";
import type { ControlParts } from "./context.ts";
import { keptOf } from "./provisions.ts";

type Count = (parts: ControlParts, spender: Spender, limit: number) => Promise<number | null> | number | null;

const COUNTS: Readonly<Record<QuotaName, Count>> = {
  callsPerSecond: () => null,
  callsInCourse: ({ quotas }, { tenant }) => quotas.inCourse(tenant),
  callsWaiting: ({ callsWaiting }, { tenant, functionName }) => callsWaiting(tenant, functionName),
  // Counted while there is a limit, which says how fast it is paid back.
  cpuSecondsPerMinute: ({ redis }, spender, limit) => (limit === 0 ? null : cpuSecondsSpent(redis, spender, limit)),
  memoryInUse: () => null,
  bodyBytesPerDay: async ({ redis }, spender) => {
    const hours = await bodyBytesByHour(redis, spender, linkOf(redis).clock.nowMs());
    return hours.reduce((sum, bytes) => sum + bytes, 0);
  },
  functions: ({ registry }, { tenant }) => registry.countFunctions(tenant),
  deploysPerHour: ({ redis }, { tenant }, limit) => (limit === 0 ? null : deploysCounted(redis, tenant)),
  warmInstances: ({ redis }, { tenant }) => keptOf(redis, tenant, { quota: "warmInstances" }),
  reservedConcurrency: ({ redis }, { tenant }) => keptOf(redis, tenant, { quota: "reservedConcurrency" }),
  versions: ({ redis, registry }, spender) => countVersions(redis, registry, spender),
  storedBytes: async ({ redis, artifacts }, { tenant }) => sumOfStored(await storedOf(redis, artifacts, tenant)),
};

/** All limits of a tenant, and those of its functions that were set, with what is used of each. */
export async function quotaUse(parts: ControlParts, tenant: string): Promise<QuotaUse> {
  const { own, functions } = parts.quotas.limitsOf(tenant);
  const rows = [
    ...QUOTA_NAMES.map((name) => ({ name, functionName: undefined, limit: own[name] })),
    ...[...(functions ?? [])].flatMap(([functionName, limits]) =>
      QUOTA_NAMES.flatMap((name) => (name in limits ? [{ name, functionName, limit: limits[name] ?? 0 }] : [])),
    ),
  ];
  const limits = rows.map(async ({ name, functionName, limit }) => ({
    ...{ name, function: functionName ?? null, limit },
    default: functionName === undefined ? parts.quotaDefaults[name] : 0,
    used: await COUNTS[name](parts, { tenant, functionName }, limit),
  }));
  return { tenant, limits: await Promise.all(limits) };
}
