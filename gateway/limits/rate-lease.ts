/**
 * Calls of a limit of calls a second, leased from Redis some at a time, so that a call costs no
 * command and all gateways share one limit. A gateway asks for more before it has used what it has.
 * The first calls after a pause go on credit: a call does not wait for an answer of Redis.
 */
import type { leaseCalls } from "../../functions/store/quotas.ts";

/** So much of a second's calls is leased at a time, and is the credit. */
const LEASED_SHARE = 1 / 8;
/** A lease from longer ago is not kept: it is what the limit had then. */
const KEEP_MS = 1_000;
/** How long nothing is asked of a Redis that did not answer. */
const PAUSE_MS = 500;

type Ask = (want: number) => ReturnType<typeof leaseCalls>;

export class RateLease {
  readonly #ask: Ask;
  readonly #share: number;
  /** Calls that may go; below 0: calls that went on credit. */
  #calls = 0;
  #isAsking = false;
  /** When something was leased last, and when to ask again at the earliest: `performance.now()`. */
  #leasedAtMs = 0;
  #askAtMs = 0;

  /** @param ask leases calls. */
  constructor(perSecond: number, ask: Ask) {
    this.#ask = ask;
    this.#share = Math.max(1, Math.ceil(perSecond * LEASED_SHARE));
  }

  /** Takes one call; false when there is none left. */
  take(): boolean {
    const nowMs = performance.now();
    if (this.#calls > 0 && nowMs - this.#leasedAtMs > KEEP_MS) this.#calls = 0;
    const mayGo = this.#calls > -this.#share;
    if (mayGo) this.#calls -= 1;
    if (this.#calls < this.#share / 2 && !this.#isAsking && nowMs >= this.#askAtMs) void this.#lease();
    return mayGo;
  }

  async #lease(): Promise<void> {
    this.#isAsking = true;
    try {
      const { granted, nextMs } = await this.#ask(this.#share + Math.max(0, -this.#calls));
      this.#calls += granted;
      this.#leasedAtMs = performance.now();
      this.#askAtMs = this.#leasedAtMs + nextMs;
    } catch {
      // Whoever calls hears of Redis by other ways; a limit must not outlast it.
      this.#calls = 0;
      this.#askAtMs = performance.now() + PAUSE_MS;
    }
    this.#isAsking = false;
  }
}
