/** Instances and slots that are kept: what functions may ask for, and what they get. */
import type { Redis } from "ioredis";
import { SandpiperError } from "../../functions/model/errors.ts";
import type { FunctionConfig } from "../../functions/model/manifest.ts";
import { mostInstances, nextChange } from "../../functions/model/provisions/min-instances.ts";
import type { ProvisionedVersion } from "../../functions/model/provisions/provision.ts";
import { keptSlots, reservedOf } from "../../functions/model/provisions/reserved.ts";
import { QUOTAS } from "../../functions/model/quotas.ts";
import { readProvisions } from "../../functions/store/provisions/provisions.ts";
import { type WarmState, warmOf } from "../../functions/store/provisions/warm-states.ts";
import type { FunctionState } from "../../functions/store/registry.ts";
import { listWorkers } from "../../functions/store/workers.ts";
import type { ControlParts } from "./context.ts";

/** The two things that are kept: by which field one asks, which limit counts, and how many. */
const KINDS = [
  {
    field: "minInstances",
    quota: "warmInstances",
    of: ({ minInstances }: Pick<ProvisionedVersion, "minInstances">) => mostInstances(minInstances),
  },
  {
    field: "concurrency.reserved",
    quota: "reservedConcurrency",
    of: ({ reserved = 0 }: Pick<ProvisionedVersion, "reserved">) => reserved,
  },
] as const;

type KeptQuota = (typeof KINDS)[number]["quota"];

/**
 * Looks whether a function that is deployed asks for no more than its tenant may have.
 * @throws SandpiperError DEPLOY_QUOTA
 */
export async function checkProvision(
  { redis, quotas }: Pick<ControlParts, "redis" | "quotas">,
  tenant: string,
  { name, minInstances = 0, concurrency: { reserved = 0 } = {} }: FunctionConfig,
): Promise<void> {
  for (const { field, quota, of } of KINDS) {
    const [wants, limit] = [of({ minInstances, reserved }), quotas.limitsOf(tenant).own[quota]];
    if (wants === 0 || limit === 0) continue;
    const used = await keptOf(redis, tenant, { quota, without: name });
    if (used + wants <= limit) continue;
    const { unit, code } = QUOTAS[quota];
    const have = used === 0 ? "" : `, and its other functions have ${used}`;
    const message = `${tenant} may have ${limit} ${unit} (${quota}): ${name} asks for ${wants} by ${field}${have}.`;
    throw new SandpiperError(code, { message });
  }
}

/** Instances and slots that are kept for functions. */
export interface KeptFor {
  warm: ReadonlyMap<FunctionState, WarmState>;
  /** Slots, by "tenant/function". */
  slots: ReadonlyMap<string, number>;
}

/** Asks nobody for functions that ask for nothing. */
export async function keptFor({ redis }: ControlParts, states: readonly FunctionState[]): Promise<KeptFor> {
  const asking = states.filter(({ version }) => mostInstances(version.config.minInstances) > 0);
  const found = await warmOf(redis, asking);
  const warm = new Map(asking.flatMap((state, index) => (found[index] ? [[state, found[index]] as const] : [])));
  if (states.every(({ version }) => version.config.concurrency?.reserved === undefined))
    return { warm, slots: new Map() };
  const [workers, provisions] = await Promise.all([listWorkers(redis), readProvisions(redis)]);
  const slots = workers.reduce((sum, { running, room }) => sum + running + room, 0);
  return { warm, slots: keptSlots(reservedOf(provisions), slots) };
}

/** When another number of instances is kept warm for a function, and how many; null: never. */
export function nextWarm({ version }: FunctionState): { at: string; count: number } | null {
  const next = nextChange(version.config.minInstances, Date.now());
  return next && { at: new Date(next.atMs).toISOString(), count: next.count };
}

/** How much a tenant's functions ask for at most of what a quota counts, without one of them. */
export async function keptOf(
  redis: Redis,
  tenant: string,
  { quota, without }: { quota: KeptQuota; without?: string },
): Promise<number> {
  const of = (version: ProvisionedVersion) => KINDS.find((kind) => kind.quota === quota)?.of(version) ?? 0;
  const asking = (await readProvisions(redis)).filter((one) => one.tenant === tenant && one.functionName !== without);
  return asking.reduce((sum, { versions }) => sum + Math.max(...versions.map(of)), 0);
}
