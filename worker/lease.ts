/** A loaded sandbox, and the exclusive use of it. */
import type { StartKind } from "../functions/invocation.ts";
import type { Box } from "./boxes.ts";
import type { Instance } from "./instance.ts";

/** How the instance of a lease was come by, and how long that took. */
export interface Start {
  kind: StartKind;
  sandboxMs: number;
  initMs: number;
  /** Unix time in milliseconds at which the version was loaded; 0 for a warm start. */
  loadedAtMs: number;
}

export const WARM: Start = { kind: "warm", sandboxMs: 0, initMs: 0, loadedAtMs: 0 };

/** Exclusive use of an instance for one call. It ends with the first `release` or `discard`; more of them do nothing. */
export interface Lease {
  readonly instance: Instance;
  readonly start: Start;
  /** Gives the instance back for the next call of its version. One that is not idle is ended instead. */
  release(): void;
  /** Ends the instance: whatever it still does, it does no more. */
  discard(reason: string): void;
}

/** A box with a version in it. */
export class Loaded {
  /** Which version of which tenant it serves, for ever. */
  readonly key: string;
  readonly box: Box;
  readonly instance: Instance;
  /** By `performance.now()`. */
  freeSinceMs = 0;
  #start: Start;

  constructor(key: string, box: Box, instance: Instance, start: Start) {
    this.key = key;
    this.box = box;
    this.instance = instance;
    this.#start = start;
  }

  /** Whether another call may use it. */
  get usable(): boolean {
    return !this.box.ending && !this.box.sandbox.outdated && this.instance.isIdle;
  }

  /** The same, about to be put among the free ones: the call that takes it from there has a warm start. */
  shelved(): this {
    this.freeSinceMs = performance.now();
    this.#start = WARM;
    return this;
  }

  /** @param onEnd told once: null when it was given back, else why it must end. */
  lease(onEnd: (discardedFor: string | null) => void): Lease {
    const start = this.#start;
    this.#start = WARM;
    let over = false;
    const end = (reason: string | null) => {
      if (over) return;
      over = true;
      onEnd(reason ?? (this.instance.isIdle ? null : "its call had not finished"));
    };
    return { instance: this.instance, start, release: () => end(null), discard: end };
  }
}
