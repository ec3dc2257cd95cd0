/**
 * Refused acts that the audit log takes of a key: whoever may do nothing could else push out what
 * others did, as a log is bounded.
 */
import { LruMap } from "../../../infra/std/lru.ts";

/** Refused acts of a key that are noted in a minute by one gateway. */
export const MOST_REFUSED = 60;
const MINUTE_MS = 60_000;
const MOST_KEYS = 10_000;

export class RefusedActs {
  readonly #nowMs: () => number;
  readonly #byKey = new LruMap<string, { count: number; sinceMs: number }>(MOST_KEYS);

  /** @param nowMs a clock that never goes back */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Whether one more refused act of the key is to be noted; counts it. */
  take(keyId: string): boolean {
    const nowMs = this.#nowMs();
    const known = this.#byKey.get(keyId);
    const isCurrent = known !== undefined && nowMs - known.sinceMs < MINUTE_MS;
    const window = isCurrent ? known : { count: 0, sinceMs: nowMs };
    if (!isCurrent) this.#byKey.set(keyId, window);
    window.count += 1;
    return window.count <= MOST_REFUSED;
  }
}
