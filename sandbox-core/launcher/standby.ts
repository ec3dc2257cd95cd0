/**
 * A second zygote, warm and idle, for the moment at which the one that serves dies or is due for
 * renewal. A zygote takes half a second of a processor to start, and seconds on a busy machine, in
 * which nobody gets a sandbox.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Generation } from "./generation.ts";

/**
 * When a standby is started. Its start takes a second of a processor, which calls need more: so it
 * waits for a look in which this process had little to do, but not for ever, as a zygote may die
 * under steady load, too.
 */
const WAITS = { lookMs: 2_000, longestBusyMs: 60_000, retryMs: 5_000, longestRetryMs: 60_000 };
/** Part of a look that a calm process spends at most on work. */
const CALM_PART = 0.2;

export interface StandbyOptions {
  /** A zygote that may serve. */
  start: () => Promise<Generation>;
  /** Told of a standby that could not be started; another attempt follows. */
  onTrouble: (message: string, cause: unknown) => void;
  waits?: typeof WAITS;
  /** Gives the part of the time since it was called last in which this process worked, 0 to 1. */
  busyPart?: () => number;
}

export class Standby {
  readonly #options: StandbyOptions;
  readonly #waits: typeof WAITS;
  readonly #busyPart: () => number;
  readonly #closing = new AbortController();
  #keeping: Promise<void> | undefined;
  #warm: Generation | undefined;
  #wake = (): void => {};

  constructor(options: StandbyOptions) {
    this.#options = options;
    this.#waits = options.waits ?? WAITS;
    this.#busyPart = options.busyPart ?? busyMeter();
  }

  /** Keeps a standby from now on; the first is started when this process is calm. */
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
    const { retryMs, longestRetryMs } = this.#waits;
    for (let pauseMs = retryMs; !signal.aborted; ) {
      await this.#untilCalm();
      if (signal.aborted) return;
      if (await this.#keepOne()) pauseMs = retryMs;
      else {
        await this.#pause(pauseMs);
        pauseMs = Math.min(pauseMs * 2, longestRetryMs);
      }
    }
  }

  /** Resolves after a look in which this process was calm, or when it was busy for long. */
  async #untilCalm(): Promise<void> {
    const { lookMs, longestBusyMs } = this.#waits;
    this.#busyPart();
    for (let waitedMs = 0; waitedMs < longestBusyMs; waitedMs += lookMs) {
      await this.#pause(lookMs);
      if (this.#closing.signal.aborted || this.#busyPart() <= CALM_PART) return;
    }
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#closing.signal, ref: false }).catch(() => undefined);
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

function busyMeter(): () => number {
  let before = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    return utilization;
  };
}
