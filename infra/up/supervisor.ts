/**
 * Keeps one child process running: starts it, starts it again when it dies, ends it, also when it
 * hangs.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { EXIT_CONFIG } from "../service.ts";
import { backoffMs } from "../std/time.ts";
import { Interrupted, UpError } from "./failure.ts";
import { HangWatch } from "./hang.ts";
import { hintFor } from "./hints.ts";
import { killGroup, type ProcessRecord } from "./leftovers.ts";
import { START_LIMITS, type StartLimits, startTookTooLong } from "./start-watch.ts";

/** A program to keep running. */
export interface Program {
  /** For messages: "gateway", "worker 1". */
  name: string;
  /**
   * Starts it as the leader of a process group of its own, so that Ctrl-C on the terminal does not
   * reach it.
   */
  spawn(): ChildProcess;
  /**
   * Resolves when it is ready. Its end and a time-out are watched for elsewhere.
   * @throws UpError when it says that it cannot start, and would say so again.
   */
  ready(child: ChildProcess): Promise<void>;
  /**
   * Calls `heard` at each sign of life that it gives once it is ready. A program that gives none is
   * not watched.
   */
  listen?(child: ChildProcess, heard: () => void): void;
}

export interface SupervisorHooks {
  record: ProcessRecord;
  /** Something a person should know: it died, it is back. */
  note(text: string): void;
  /** The program dies again and again: nothing more is tried. */
  gaveUp(error: UpError): void;
  /** How long a program that gives signs of life may give none before it is killed; 0: for ever. */
  hangLimitMs: number;
  /** How long to wait before the n-th start within a minute. */
  backoffMs?: (deaths: number) => number;
  startLimits?: StartLimits;
}

export interface StopOptions {
  /** How long it may take to drain. */
  graceMs: number;
  /** Aborted when the user is in a hurry: what is being drained is told to stop at once. */
  hurry: AbortSignal;
}

/** How often a first start is tried that fails for a reason which may pass. */
const MOST_FIRST_STARTS = 3;
/** How long a program may take to end after it was told to stop at once. */
const STOP_NOW_MS = 5_000;
/** More deaths than this within the window are a crash loop. */
const MAX_DEATHS = 12;
const DEATH_WINDOW_MS = 60_000;
/** The first death is healed at once; then ever more slowly. */
const BACKOFF = { firstMs: 100, longestMs: 2_000 };

export class Supervisor {
  readonly #program: Program;
  readonly #hooks: SupervisorHooks;
  readonly #stopping = new AbortController();
  #child: ChildProcess | null = null;
  #deaths: number[] = [];
  /** Why the child that is about to end, or ended last, was killed; null when it ends by itself. */
  #hung: string | null = null;
  /** Groups whose leader died: what is left of them may tidy up for a moment, then it is killed. */
  readonly #orphans = new Map<number, NodeJS.Timeout>();

  constructor(program: Program, hooks: SupervisorHooks) {
    this.#program = program;
    this.#hooks = hooks;
  }

  /** Its process id, or null while it is down. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /**
   * Starts it for the first time; resolves when it is ready. From then on it is started again
   * whenever it dies.
   * @throws UpError when it does not become ready in three attempts, or says that it cannot.
   * Interrupted when `stop` was called.
   */
  async start(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return this.#watch(await this.#launch());
      } catch (error) {
        if (error instanceof UpError || error instanceof Interrupted) throw error;
        const failure = this.#startFailure(error as Error);
        if (attempt === MOST_FIRST_STARTS) throw failure;
        this.#hooks.note(`${failure.message}; trying again`);
        await this.#pause(attempt);
      }
    }
  }

  /** @throws Interrupted when `stop` is called meanwhile */
  async #pause(deaths: number): Promise<void> {
    const { signal } = this.#stopping;
    await delay((this.#hooks.backoffMs ?? pauseMs)(deaths), null, { signal }).catch(() => {
      throw new Interrupted();
    });
  }

  /**
   * Ends it: SIGTERM, a second SIGTERM when the grace is over or in a hurry, SIGKILL to the group
   * at last.
   */
  async stop({ graceMs, hurry }: StopOptions): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    if (child?.pid !== undefined) await this.#end(child, child.pid, graceMs, hurry);
    for (const pid of this.#orphans.keys()) this.#killOrphans(pid);
  }

  async #end(child: ChildProcess, pid: number, graceMs: number, hurry: AbortSignal): Promise<void> {
    child.kill("SIGTERM");
    const patience = AbortSignal.any([hurry, AbortSignal.timeout(graceMs)]);
    if (!(await endsBefore(child, patience))) {
      child.kill("SIGTERM");
      await endsBefore(child, AbortSignal.timeout(STOP_NOW_MS));
    }
    killGroup(pid);
    if (isRunning(child)) await once(child, "exit");
  }

  /** One attempt: spawned, recorded, ready. */
  async #launch(): Promise<ChildProcess> {
    if (this.#stopping.signal.aborted) throw new Interrupted();
    const child = this.#program.spawn();
    this.#child = child;
    const over = new AbortController();
    try {
      await once(child, "spawn").catch((error: Error) => {
        throw this.#startFailure(error);
      });
      this.#hooks.record.add(child.pid as number);
      child.once("exit", () => this.#forget(child));
      await Promise.race([this.#program.ready(child), this.#failsToStart(child, over.signal)]);
      return child;
    } catch (error) {
      if (child.pid !== undefined) killGroup(child.pid);
      if (child.pid !== undefined && isRunning(child)) await once(child, "exit");
      this.#child = null;
      throw this.#stopping.signal.aborted ? new Interrupted() : error;
    } finally {
      over.abort();
    }
  }

  #startFailure(error: Error): UpError {
    const message = `the ${this.#program.name} could not start: ${error.message}`;
    return new UpError(message, hintFor(error.message) ?? "its last lines above say why", { cause: error });
  }

  /** Rejects when the child ends, or takes too long. */
  async #failsToStart(child: ChildProcess, over: AbortSignal): Promise<never> {
    const { note, startLimits = START_LIMITS } = this.#hooks;
    const onLong = () => note(`the ${this.#program.name} is still starting, and at work: this machine is busy`);
    const tooLong = startTookTooLong(child.pid as number, startLimits, onLong, over);
    const ended = isRunning(child) ? once(child, "exit", { signal: over }).then(() => null) : null;
    const why = await Promise.race([ended, tooLong]);
    if (child.exitCode === EXIT_CONFIG) throw this.#startFailure(new Error("it says that it cannot run here"));
    throw new Error(why ?? `it ended with ${howItEnded(child)} before it was ready`);
  }

  #forget(child: ChildProcess): void {
    const pid = child.pid as number;
    this.#hooks.record.remove(pid);
    this.#orphans.set(pid, setTimeout(() => this.#killOrphans(pid), STOP_NOW_MS).unref());
    if (this.#child === child) this.#child = null;
  }

  #killOrphans(pid: number): void {
    clearTimeout(this.#orphans.get(pid));
    this.#orphans.delete(pid);
    killGroup(pid);
  }

  #watch(child: ChildProcess): void {
    this.#hung = null;
    if (!isRunning(child)) return void this.#revive(child);
    this.#watchForHang(child);
    child.once("exit", () => void this.#revive(child));
  }

  /**
   * SIGKILL is all that a process hears which was stopped or sleeps in the kernel. Its group may
   * tidy up for a moment.
   */
  #watchForHang(child: ChildProcess): void {
    const { hangLimitMs } = this.#hooks;
    if (this.#program.listen === undefined || hangLimitMs === 0) return;
    const watch = new HangWatch(child.pid as number, hangLimitMs, (why) => {
      this.#hung = why;
      child.kill("SIGKILL");
    });
    this.#program.listen(child, () => watch.heard());
    child.once("exit", () => watch.stop());
  }

  async #revive(dead: ChildProcess): Promise<void> {
    let reason = this.#hung === null ? howItEnded(dead) : `SIGKILL because it hung: ${this.#hung}`;
    let pointless = dead.exitCode === EXIT_CONFIG;
    while (!this.#stopping.signal.aborted) {
      const deaths = this.#countDeath();
      if (pointless || deaths > MAX_DEATHS) return this.#giveUp(reason, deaths);
      this.#hooks.note(`the ${this.#program.name} ended with ${reason}; starting it again`);
      try {
        await this.#pause(deaths);
        const child = await this.#launch();
        this.#hooks.note(`the ${this.#program.name} is back`);
        return this.#watch(child);
      } catch (error) {
        reason = `an error: ${(error as Error).message}`;
        pointless = false;
      }
    }
  }

  #countDeath(): number {
    const now = performance.now();
    this.#deaths = [...this.#deaths.filter((at) => now - at < DEATH_WINDOW_MS), now];
    return this.#deaths.length;
  }

  #giveUp(reason: string, deaths: number): void {
    const { name } = this.#program;
    this.#hooks.gaveUp(
      new UpError(
        `the ${name} ended ${deaths} ${deaths === 1 ? "time" : "times"} within a minute, the last time with ${reason}`,
        "its lines above say why; put that right, then start again",
      ),
    );
  }
}

function pauseMs(deaths: number): number {
  return deaths <= 1 ? 0 : backoffMs(deaths - 1, BACKOFF);
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function howItEnded(child: ChildProcess): string {
  return child.signalCode ?? `exit code ${child.exitCode}`;
}

/** Whether the child ends before the signal is aborted. */
async function endsBefore(child: ChildProcess, signal: AbortSignal): Promise<boolean> {
  if (!isRunning(child)) return true;
  return await once(child, "exit", { signal }).then(
    () => true,
    () => !isRunning(child),
  );
}
