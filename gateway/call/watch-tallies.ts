/**
 * Calls of watched canaries as this gateway counted them, in memory, until its timer adds them to
 * those of all gateways.
 */
import { hash } from "node:crypto";
import { bucketOf, CELLS, type CountsByCell, noCalls, type WatchCounts } from "../../functions/model/canary.ts";
import type { Outcome } from "../../functions/model/invocation.ts";
import type { WatchRef } from "../../functions/store/canaries.ts";
import { networkOf } from "../http/clients.ts";
import type { Ending } from "./exchange.ts";

/** Outcomes that are the function's doing. Calls with another one are not counted. */
const COUNTED: ReadonlySet<Outcome | null> = new Set<Outcome>([
  "ok",
  "function_error",
  "timeout",
  "out_of_memory",
  "killed",
]);
/** An answer of this status or above is a failure that the function caught. */
const FAILED_STATUS = 500;

/** Looks without a call after which a watch is forgotten; a call that follows finds it again. */
const MOST_IDLE_LOOKS = 60;

/** Counts the calls of one of two versions. */
export class Tally {
  readonly #cellKey: string;
  #counts: CountsByCell = {};

  constructor(cellKey: string) {
    this.#cellKey = cellKey;
  }

  /** Counts a call that has ended. @param address the client's, as the gateway knows it */
  note({ outcome, status, handlerMs = 0 }: Ending, address: string): void {
    if (!COUNTED.has(outcome)) return;
    const cell = cellOf(this.#cellKey, address);
    const counts = this.#counts[cell] ?? noCalls();
    this.#counts[cell] = counts;
    counts.calls += 1;
    if (outcome !== "ok" || status >= FAILED_STATUS) {
      counts.errors += 1;
      return;
    }
    const bucket = bucketOf(handlerMs);
    counts.times[bucket] = (counts.times[bucket] ?? 0) + 1;
  }

  /** The calls since this was asked last. */
  take(): CountsByCell {
    const counts = this.#counts;
    this.#counts = {};
    return counts;
  }
}

/** The tallies of one watch. */
interface Watched {
  ref: WatchRef;
  /** The revision of the alias that began the watch. */
  revision: string;
  base: Tally;
  canary: Tally;
  /** Looks since the last call. */
  idle: number;
}

export class WatchTallies {
  readonly #watched = new Map<string, Watched>();

  /** The tallies of an alias that is watched since it got this revision. */
  of(ref: WatchRef, { revision, cellKey }: { revision: string; cellKey: string }): Pick<Watched, "base" | "canary"> {
    const name = nameOf(ref);
    const known = this.#watched.get(name);
    if (known?.revision === revision) return known;
    const watched = { ref, revision, base: new Tally(cellKey), canary: new Tally(cellKey), idle: 0 };
    this.#watched.set(name, watched);
    return watched;
  }

  /** Forgets a watch that is over. */
  drop(ref: WatchRef): void {
    this.#watched.delete(nameOf(ref));
  }

  /** The calls of each watch since this was asked last, of those that had some. */
  take(): { ref: WatchRef; revision: string; counts: WatchCounts }[] {
    const taken = [];
    for (const watched of this.#watched.values()) {
      const { ref, revision } = watched;
      const counts = { base: watched.base.take(), canary: watched.canary.take() };
      watched.idle = Object.keys(counts.base).length + Object.keys(counts.canary).length > 0 ? 0 : watched.idle + 1;
      if (watched.idle === 0) taken.push({ ref, revision, counts });
      if (watched.idle > MOST_IDLE_LOOKS) this.drop(ref);
    }
    return taken;
  }
}

/**
 * The cell of a client. The key is Redis's secret and another for each watch, so that nobody can
 * choose addresses by their cells, and no two clients share one for good.
 */
export function cellOf(cellKey: string, address: string): number {
  return hash("sha256", `${cellKey}\n${networkOf(address)}`, "buffer").readUInt8() % CELLS;
}

function nameOf({ tenant, functionName, alias }: WatchRef): string {
  return `${tenant}/${functionName}/${alias}`;
}
