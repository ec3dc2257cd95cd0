/**
 * Facts that stay where a backup is restored. Who operates a machine is decided on that machine: an
 * operator's key, its tenant and what operators did are never replaced by a file, and no file makes
 * a key an operator's.
 */
import type { Redis } from "ioredis";
import type { BackupRecord } from "../../model/backup/contents.ts";
import { SandpiperError } from "../../model/errors.ts";
import { functionsKey, secretScopesKey, secretsKey } from "../function-keys.ts";
import { indexOf, operatorKeys, operatorTenants, TENANTS } from "../tenant.ts";
import { listTenants, readStops } from "../tenant-states.ts";
import { keyOfPart, type Part } from "./parts.ts";

/** Facts that a restore keeps. */
interface Facts {
  operatorKeys: ReadonlySet<string>;
  /** By name: the tenants of operators' keys, as Redis has them. */
  operatorTenants: Record<string, string>;
  /** Of these tenants: when each operator's key was last used. */
  operatorKeyUses: Record<string, Record<string, string>>;
  /** Tenants that were deleted, whose names are not free yet. */
  stops: Record<string, string>;
  /** Numbers that never go back: by the key of Redis, or by "key field". */
  counters: ReadonlyMap<string, number>;
}

const SECRET_COUNTER = "secret-counter";
const REVISIONS = "revisions";

export class Standing {
  readonly #facts: Facts;

  private constructor(facts: Facts) {
    this.#facts = facts;
  }

  /** @param parts the parts that have counters */
  static async read(redis: Redis, restored: readonly string[], parts: ReadonlyMap<string, Part>): Promise<Standing> {
    const [ids, tenants, stops] = await Promise.all([operatorKeys(redis), operatorTenants(redis), readStops(redis)]);
    const facts: Facts = {
      operatorKeys: new Set(ids),
      ...{ operatorTenants: {}, operatorKeyUses: {}, stops: {}, counters: await countersOf(redis, parts) },
    };
    for (const tenant of new Set(tenants)) {
      facts.operatorTenants[tenant] = (await redis.hget(TENANTS, tenant)) ?? "{}";
      const uses = Object.entries(await redis.hgetall(indexOf(tenant))).filter(([id]) => ids.includes(id));
      if (uses.length > 0) facts.operatorKeyUses[tenant] = Object.fromEntries(uses);
    }
    for (const [tenant, stop] of stops) {
      if (stop.state === "deleted" && !restored.includes(tenant)) facts.stops[tenant] = JSON.stringify(stop);
    }
    return new Standing(facts);
  }

  get operatorTenants(): Readonly<Record<string, string>> {
    return this.#facts.operatorTenants;
  }

  get operatorKeyUses(): Readonly<Record<string, Readonly<Record<string, string>>>> {
    return this.#facts.operatorKeyUses;
  }

  get stops(): Readonly<Record<string, string>> {
    return this.#facts.stops;
  }

  isOperatorKey(id: string): boolean {
    return this.#facts.operatorKeys.has(id);
  }

  /** The entries of a record that are restored, with counters that do not go back. */
  kept(part: Part, { tenant, name, entries }: BackupRecord): string[][] {
    const { part: word } = part;
    if (word === "key" && this.isOperatorKey(name ?? "")) return [];
    if (word === "key-list") return entries.filter(([id = ""]) => !this.isOperatorKey(id));
    if (word === "stop" && tenant !== null && Object.hasOwn(this.operatorTenants, tenant)) return [];
    if (word !== REVISIONS && word !== SECRET_COUNTER) return entries;
    const key = keyOfPart(part, tenant, name);
    const there = this.#facts.counters.get(word === REVISIONS ? key : `${key} ${tenant}`) ?? 0;
    return [[String(Math.max(there, Number(entries[0]?.[0] ?? 0)))]];
  }
}

async function countersOf(redis: Redis, parts: ReadonlyMap<string, Part>): Promise<Map<string, number>> {
  const counters = new Map<string, number>();
  const [revisions, secrets] = [parts.get(REVISIONS), parts.get(SECRET_COUNTER)];
  if (revisions !== undefined) counters.set(revisions.pattern, Number((await redis.get(revisions.pattern)) ?? 0));
  for (const [tenant, value] of Object.entries(secrets === undefined ? {} : await redis.hgetall(secrets.pattern))) {
    counters.set(`${secrets?.pattern} ${tenant}`, Number(value));
  }
  return counters;
}

/**
 * Sees that a restore takes nothing away that nobody said may go.
 * @throws SandpiperError RESTORE_REFUSED; while a tenant is being deleted in any case
 */
export async function refuseToReplace(redis: Redis, replace: boolean): Promise<void> {
  const [tenants, operators] = [await listTenants(redis), await operatorTenants(redis)];
  const leaving = tenants.find(({ state }) => state === "deleting");
  if (leaving !== undefined) {
    const message = `The tenant ${leaving.tenant} is being deleted: restore when that is done.`;
    throw new SandpiperError("RESTORE_REFUSED", { message });
  }
  if (replace) return;
  const others = tenants.filter(({ tenant }) => !operators.includes(tenant)).length;
  let [functions, secrets] = [0, 0];
  for (const { tenant } of tenants) {
    functions += await redis.scard(functionsKey(tenant));
    secrets +=
      (await redis.exists(secretsKey({ tenant, functionName: null }))) + (await redis.scard(secretScopesKey(tenant)));
  }
  const there = [
    ...(functions > 0 ? [`${functions} functions`] : []),
    ...(others > 0 ? [`${others} tenants`] : []),
    ...(secrets > 0 ? ["secrets"] : []),
  ];
  if (there.length === 0) return;
  const message = `This Sandpiper has ${there.join(" and ")} already: restore into an empty one, or replace all of it (--replace).`;
  throw new SandpiperError("RESTORE_REFUSED", { message });
}
