/**
 * Budgets of time for tests: each stretches by one factor, which says how slow this machine is at
 * the moment. They are for what functions under test may take, and never for a test itself: that
 * waits for what is to happen, however long.
 *
 * The factor is measured once: by run.ts before all files, or by the first process that asks when a
 * file runs by itself.
 */
import { spawnSync } from "node:child_process";

const VARIABLE = "SANDPIPER_TEST_SLOWNESS";
/**
 * Time for starting and ending Node on a quiet machine: work of processors and page faults, as most
 * tests are.
 */
const QUIET_MS = 60;
const TRIES = 5;
/** Files run two at a time, and others may begin to use the machine after the measurement. */
const HEADROOM = 2;
/** With a larger factor, a function's time limit would be beyond what a manifest takes. */
const MOST = 30;

/** The longest time limit that a function can have: for calls that nothing but the test ends. */
export const LONGEST_CALL_MS = 900_000;

/** How many times as long as on a quiet machine work may take here. */
export function slowness(): number {
  process.env[VARIABLE] ??= measure().toFixed(1);
  return Number(process.env[VARIABLE]);
}

/**
 * A budget of time for this machine, out of one that is enough for a machine that has nothing else
 * to do.
 */
export function stretched(ms: number): number {
  return Math.ceil(ms * slowness());
}

function measure(): number {
  const tookMs = Array.from({ length: TRIES }, () => {
    const startMs = performance.now();
    spawnSync(process.execPath, ["-e", "0"]);
    return performance.now() - startMs;
  });
  return Math.min(MOST, HEADROOM * Math.max(1, Math.max(...tookMs) / QUIET_MS));
}
