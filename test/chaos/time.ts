/** Time that no clock's shift changes, and waiting. */
import { setTimeout as wait } from "node:timers/promises";

/** CLOCK_MONOTONIC in milliseconds: the same in all processes of the machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Resolves at a moment of `monotonicMs`; at once when that is over. */
export async function until(atMs: number): Promise<void> {
  const leftMs = atMs - monotonicMs();
  if (leftMs > 0) await wait(leftMs);
}

/** Asks again and again until the condition holds. @returns false when that took too long */
export async function holdsWithin(ms: number, condition: () => boolean | Promise<boolean>): Promise<boolean> {
  const endMs = monotonicMs() + ms;
  while (!(await condition())) {
    if (monotonicMs() > endMs) return false;
    await wait(50);
  }
  return true;
}
