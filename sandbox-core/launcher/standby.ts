/**
 * A second zygote, warm and idle, for the moment at which the one that serves dies or is due for
 * renewal. A zygote takes half a second of a processor to start, and seconds on a busy machine, in
 * which nobody gets a sandbox.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Generation } from "./generation.ts";

/**
 * Time before a standby is started: a worker that has just begun, or has lost its zygote, needs the
 * processors for its calls.
 */
const START_AFTER_MS = 5_000;
/** The longest pause after attempts that failed. */
const LONGEST_PAUSE_MS = 60_000;

export interface StandbyOptions {
  /** A zygote that may serve. */
  start: () => Promise<Generation>;
  /** Told of a standby that could not be started; another attempt follows. */
  onTrouble: (message: string, cause: unknown) => void;
}

export class Standby {
  readonly #options: StandbyOptions;
  readonly #closing = new AbortController();
  #keeping: Promise<void> | undefined;
  #warm: Generation | undefined;
  #wake = (): void => {};

  constructor(options: StandbyOptions) {
    this.#options = options;
  }

  /** Keeps a standby from now on; the first is there some seconds later. */
  keep(): void {
    this.#keeping ??= this.#keep();
  }

  /** Pid of the standby, once it is warm. */
  get pid(): number | undefined {
    return this.#warm?.pid;
  }

  /** The standby, which is whoever's that takes it; undefined when none is warm. */
  take(): Generation | undefined {
    const taken = this.#warm;
    this.#warm = undefined;
    this.#wake();
    return taken;
  }

  /** Ends the standby; resolves when it is gone. */
  async close(): Promise<void> {
    this.#closing.abort();
    const warm = this.take();
    await this.#keeping;
    // One that was being started is there by now.
    await Promise.all([warm?.stop(), this.take()?.stop()]);
  }

  /** Never rejects. */
  async #keep(): Promise<void> {
    const { signal } = this.#closing;
    for (let pauseMs = START_AFTER_MS; !signal.aborted; ) {
      await delay(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      pauseMs = (await this.#keepOne()) ? START_AFTER_MS : Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }

  /** Resolves when the standby was taken or died; with false when none could be started. */
  async #keepOne(): Promise<boolean> {
    try {
      const generation = await this.#options.start();
      const taken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#warm = generation;
      if (this.#closing.signal.aborted) return true;
      await Promise.race([taken, generation.died]);
      if (this.#warm === generation) this.#warm = undefined;
      return true;
    } catch (cause) {
      if (!this.#closing.signal.aborted) this.#options.onTrouble("a second zygote could not be started", cause);
      return false;
    }
  }
}
