/**
 * The limit on what a sandbox does now, kept outside of the sandbox: of a call, its time limit; of
 * what comes before the first call, processor time, waiting, and time in all.
 */
import { type Overrun, type Sandbox, type WorkLimits, WorkWatch } from "../../sandbox-core/index.ts";
import type { Cause, Preparing } from "../outcome/outcome.ts";

/**
 * Of evaluating a bundle, and of a function's renewal in a fork. A machine that is so busy that a
 * function gets a sixth of a processor still loads what needs all of the processor time.
 */
export const PREPARATION_LIMITS: WorkLimits = { cpuMs: 10_000, waitMs: 30_000, wallMs: 60_000 };

export interface TimeLimitOptions {
  sandbox: Sandbox;
  /** The limit of a call, the same for all of a version. */
  callMs: number;
  /** The limits before the first call. */
  preparation: WorkLimits;
  onOver(cause: Cause): void;
}

export class TimeLimit {
  readonly #options: TimeLimitOptions;
  #timer: NodeJS.Timeout | null = null;
  #watch: WorkWatch | null = null;

  constructor(options: TimeLimitOptions) {
    this.#options = options;
  }

  /** Begins the time of a call, or begins it anew. */
  startCall(): void {
    if (this.#timer !== null) {
      this.#timer.refresh();
      return;
    }
    const { callMs: limitMs, onOver } = this.#options;
    this.#timer = setTimeout(() => onOver({ by: "deadline", limitMs }), limitMs);
  }

  /** Begins to watch what comes before calls; ends what was watched before. */
  startPreparing(during: Preparing): void {
    this.stop();
    const { sandbox, preparation, onOver } = this.#options;
    const look = () => ({ cpuMs: sandbox.usage().cpuMs, isAtWork: sandbox.isAtWork });
    const over = (overrun: Overrun) => onOver({ by: "work_limit", during, overrun });
    this.#watch = new WorkWatch(preparation, look, over);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#watch?.stop();
    this.#watch = null;
  }
}
