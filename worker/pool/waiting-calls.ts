/** The calls of all versions that wait for an instance, and which of them waits for room. */
import type { PooledVersion } from "./pooled-version.ts";
import type { Waiter } from "./waiting-call.ts";

/**
 * How often an instance may serve its own version again, or be started, while an older call of
 * another wants the place.
 */
const MOST_TIMES_PASSED_OVER = 32;

/**
 * A call that waited longer than this, and so many times the mean time of its version's calls, lets
 * younger ones go first, as in a gateway's line: behind a stall the calls that come are served at
 * once.
 */
const STALE_MS = 3_000;
const STALE_CALLS = 3;

/**
 * Which of a version's waiting calls goes next: the oldest, unless it has waited too long to be
 * helped.
 * @param waiting oldest first; times are those of `performance.now()`.
 */
export function nextInTurn<W extends Pick<Waiter, "sinceMs">>(
  { waiting, meanCallMs }: { waiting: Iterable<W>; meanCallMs: number },
  nowMs: number = performance.now(),
): W | undefined {
  const staleSinceMs = nowMs - STALE_MS - STALE_CALLS * meanCallMs;
  let youngest: W | undefined;
  for (const waiter of waiting) {
    if (waiter.sinceMs > staleSinceMs) return waiter;
    youngest = waiter;
  }
  return youngest;
}

export class WaitingCalls {
  /** Oldest first. */
  readonly #waiting = new Map<Waiter, PooledVersion>();
  #starved: Waiter | null = null;

  get count(): number {
    return this.#waiting.size;
  }

  /** The oldest call that cannot be served for want of room, as far as the present round knows. */
  get starved(): Waiter | null {
    return this.#starved;
  }

  add(waiter: Waiter, pooledVersion: PooledVersion): void {
    this.#waiting.set(waiter, pooledVersion);
    pooledVersion.waiting.add(waiter);
  }

  /** Forgets a call that was served or failed. Returns whether it was the starved one. */
  remove(waiter: Waiter): boolean {
    this.#waiting.get(waiter)?.waiting.delete(waiter);
    this.#waiting.delete(waiter);
    return this.#starved === waiter;
  }

  failAll(error: unknown): void {
    for (const waiter of this.#waiting.keys()) waiter.fail(error);
  }

  /** Begins a round over all calls, oldest first. Calls may be served or fail meanwhile. */
  round(): Iterable<[Waiter, PooledVersion]> {
    this.#starved = null;
    return this.#waiting;
  }

  /**
   * Notes whether a start has begun for a call; true when nothing more may begin before a call that
   * waits for room.
   */
  isHeldUp(waiter: Waiter, hasBegun: boolean): boolean {
    if (this.#starved === null && !hasBegun) this.#starved = waiter;
    else if (this.#starved !== null && hasBegun) this.#starved.timesPassedOver += 1;
    return this.#starved !== null && this.#starved.timesPassedOver > MOST_TIMES_PASSED_OVER;
  }

  /**
   * Whether an instance of a version must make way for an older call of another one.
   * @param willFit whether a sandbox of that memory will have room without that
   */
  mustMakeWay(pooledVersion: PooledVersion, willFit: (memoryMiB: number) => boolean): boolean {
    if (this.#starved === null || pooledVersion.waiting.has(this.#starved)) return false;
    if (willFit(this.#starved.version.config.memoryMiB)) return false;
    this.#starved.timesPassedOver += 1;
    return this.#starved.timesPassedOver > MOST_TIMES_PASSED_OVER;
  }
}
