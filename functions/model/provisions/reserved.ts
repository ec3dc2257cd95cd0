/** Slots for calls that are kept for functions with `concurrency.reserved`. */
import type { Provision } from "./provision.ts";

/** The part of all slots that is never kept for anybody: one of so many. */
const FREE_PARTS = 2;

/** By "tenant/function": how many slots it asks for. */
export function reservedOf(provisions: readonly Provision[]): Map<string, number> {
  const asked = provisions.map(({ tenant, functionName, versions }): [string, number] => [
    `${tenant}/${functionName}`,
    Math.max(...versions.map(({ reserved = 0 }) => reserved)),
  ]);
  return new Map(asked.filter(([, count]) => count > 0));
}

/** How many of so many slots are kept for each: all that it asks for, or its part of the half. */
export function keptSlots(asked: ReadonlyMap<string, number>, slots: number): Map<string, number> {
  const most = Math.floor(slots / FREE_PARTS);
  const total = [...asked.values()].reduce((sum, count) => sum + count, 0);
  return new Map([...asked].map(([name, count]) => [name, total <= most ? count : Math.floor((count * most) / total)]));
}
