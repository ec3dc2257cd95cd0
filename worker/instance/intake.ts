/** How fast a sandbox's wire is read. */
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";

/** More messages than this in one piece, and what it says next is read later, in proportion. */
const MOST_AT_ONCE = 1_000;
const PAUSE_MS = 10;

/**
 * Reads no more of a sandbox for a while, for one of two reasons: whoever gets its reply has to
 * catch up, or it says much in small messages. Each costs the worker's one thread the same,
 * whatever is in it, so that a sandbox which says nothing ten thousand times in each piece would
 * hold up everybody else.
 */
export class Intake {
  readonly #wire: Duplex;
  #holds = 0;

  constructor(wire: Duplex) {
    this.#wire = wire;
  }

  get isHeld(): boolean {
    return this.#holds > 0;
  }

  /** Reads nothing until that resolves. */
  hold(until: Promise<unknown>): void {
    this.#holds += 1;
    this.#wire.pause();
    void until.then(() => {
      this.#holds -= 1;
      if (this.#holds === 0) this.#wire.resume();
    });
  }

  /** So many messages came in one piece. */
  took(messages: number): void {
    if (messages > MOST_AT_ONCE) this.hold(delay((messages / MOST_AT_ONCE) * PAUSE_MS));
  }
}
