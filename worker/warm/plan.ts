/**
 * Which instances a worker is to keep. Each worker finds out by itself, from what all of them read
 * in Redis, and all come to the same end: so nobody coordinates, and the others have the part of a
 * worker that is gone as soon as it is.
 */
import { createHash } from "node:crypto";
import type { VersionRef } from "../../functions/model/invocation.ts";
import { instancesAt, shareOf } from "../../functions/model/provisions/min-instances.ts";
import type { Provision } from "../../functions/model/provisions/provision.ts";

/** A worker that is alive, and how many sandboxes it may have. */
export interface Keeper {
  id: string;
  size: number;
}

/** Instances of a version that are to be kept, in a sandbox of that memory each. */
export interface Wanted extends VersionRef {
  memoryMiB: number;
  count: number;
}

/**
 * The instances of each version that all workers together are to keep.
 * @param mostOf most instances of a tenant; its functions get them in the order of their names
 * @param nowMs when: they may change by the clock
 */
export function wantedOf(
  provisions: readonly Provision[],
  mostOf: (tenant: string) => number,
  nowMs: number,
): Wanted[] {
  const left = new Map<string, number>();
  const sorted = [...provisions].sort((one, other) => (one.functionName < other.functionName ? -1 : 1));
  return sorted.flatMap(({ tenant, functionName, versions }) =>
    versions.flatMap(({ version, percent, memoryMiB, minInstances }) => {
      const most = left.get(tenant) ?? mostOf(tenant);
      const count = Math.min(most, shareOf(instancesAt(minInstances, nowMs), percent));
      left.set(tenant, most - count);
      return count === 0 ? [] : [{ tenant, functionName, version, memoryMiB, count }];
    }),
  );
}

/**
 * The part of a version's instances that one worker keeps: as much as its size is of all, and one
 * at least, as any worker may take the next call.
 */
export function partOf({ tenant, functionName, count }: Wanted, keepers: readonly Keeper[], id: string): number {
  const ranked = keepers
    .map((keeper) => ({ ...keeper, part: 1, rank: rankOf(keeper.id, `${tenant}/${functionName}`) }))
    .sort((one, other) => (one.rank < other.rank ? -1 : 1));
  for (let given = ranked.length; given < count; given++) {
    const next = ranked.reduce((best, one) => (share(one) < share(best) ? one : best));
    next.part += 1;
  }
  return ranked.find((one) => one.id === id)?.part ?? 0;
}

/** How full a worker would be of them with one more. */
function share({ part, size }: { part: number; size: number }): number {
  return (part + 1) / Math.max(1, size);
}

/** A worker's place in the order for a function; another for each, so that all get odd ones. */
function rankOf(id: string, name: string): string {
  return createHash("sha256").update(`${name}\n${id}`).digest("hex");
}

/**
 * How many of its part of each version a worker has room for. Where there is too little, each
 * tenant has its first instance before any has its second.
 */
export function fitting(wanted: readonly Wanted[], room: { sandboxes: number; memoryMiB: number }): number[] {
  const counts = wanted.map(() => 0);
  let { sandboxes, memoryMiB } = room;
  for (const { index } of inTurns(wanted)) {
    const needsMiB = wanted[index]?.memoryMiB ?? 0;
    if (sandboxes === 0 || memoryMiB < needsMiB) continue;
    sandboxes -= 1;
    memoryMiB -= needsMiB;
    counts[index] = (counts[index] ?? 0) + 1;
  }
  return counts;
}

/** Each single instance, by its version's index, in the order in which tenants take turns. */
function inTurns(wanted: readonly Wanted[]): { index: number; turn: number }[] {
  const turns = new Map<string, number>();
  const singles = wanted.flatMap(({ tenant, count }, index) =>
    Array.from({ length: count }, () => {
      const turn = turns.get(tenant) ?? 0;
      turns.set(tenant, turn + 1);
      return { index, turn };
    }),
  );
  return singles.sort((one, other) => one.turn - other.turn);
}
