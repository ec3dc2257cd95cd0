/**
 * The launchers of a worker, each with a zygote: opened on first use, closed when nobody has used
 * one for long, and never more than so many. When there are so many and another is wanted, the one
 * that was used least recently makes way.
 */
import { setTimeout as delay } from "node:timers/promises";
import { backoffMs } from "../../infra/std/time.ts";
import { EgressSocketsError, type Launcher } from "../../sandbox-core/index.ts";
import { CallFailure } from "../outcome/outcome.ts";
import type { ZygoteKey } from "./zygote-key.ts";

export interface ZygotesOptions<L extends Launcher> {
  open(memoryMiB: number): Promise<L>;
  /** Most launchers at once, those that make way included. */
  most: number;
  /** How long one may stay that has no sandbox and makes none. */
  idleMs: number;
  /** The one that is never closed. */
  kept: ZygoteKey;
  /** How long a launch may go on failing before the call that waits for it fails. */
  giveUpMs: number;
  /**
   * Told of a zygote whose launcher is to be closed: the sandboxes are outdated, and none should be
   * made.
   */
  onLeaving(key: string): void;
  /** Has a launcher keep a second zygote warm, where that is wanted. */
  keepStandby(launcher: L, zygote: ZygoteKey): void;
  /**
   * Told of every failure that is followed by another attempt, and of those that nobody waits for.
   */
  onFailure(message: string, cause: unknown): void;
}

const RETRY = { firstMs: 50, longestMs: 1_000 };

interface Opened<L> {
  zygote: ZygoteKey;
  launcher: Promise<L>;
  /** By `performance.now()`. */
  usedAtMs: number;
  /** How many things are being made with it. */
  uses: number;
}

/** Makes things with launchers, and hides that a zygote may die and come back meanwhile. */
export class Zygotes<L extends Launcher = Launcher> {
  readonly #options: ZygotesOptions<L>;
  /** By the key of their zygote; least recently used first. */
  readonly #opened = new Map<string, Opened<L>>();
  /** On their way out, until all of it is gone. */
  readonly #leaving = new Set<Promise<void>>();
  readonly #stopped = new AbortController();
  #hasStandbys = false;

  constructor(options: ZygotesOptions<L>) {
    this.#options = options;
  }

  /** How many there are, those that make way included. */
  get count(): number {
    return this.#opened.size + this.#leaving.size;
  }

  /**
   * Makes something with the launcher of a zygote, and tries again with growing pauses when that
   * fails: a launcher heals itself, and one that could not be opened is opened anew.
   * @throws CallFailure platform_error SANDBOX_UNAVAILABLE when it went on failing for `giveUpMs`,
   * EGRESS_UNAVAILABLE at once when it was for the sockets of egress.
   */
  async use<T>(zygote: ZygoteKey, make: (launcher: L) => Promise<T>): Promise<T> {
    const giveUpAtMs = performance.now() + this.#options.giveUpMs;
    for (let attempt = 1; ; attempt++) {
      const pauseMs = backoffMs(attempt, RETRY);
      try {
        return await this.#useOnce(zygote, make);
      } catch (cause) {
        if (cause instanceof EgressSocketsError) throw this.#withoutEgress(cause);
        if (this.#stopped.signal.aborted || performance.now() + pauseMs > giveUpAtMs) throw unavailable(cause);
        this.#options.onFailure(`no sandbox of ${zygote.memoryMiB} MiB could be made, trying again`, cause);
      }
      await delay(pauseMs, undefined, { signal: this.#stopped.signal }).catch(() => {});
    }
  }

  #withoutEgress(cause: EgressSocketsError): CallFailure {
    this.#options.onFailure("no sandbox with outgoing connections could be made", cause);
    return new CallFailure("platform_error", "EGRESS_UNAVAILABLE", undefined, cause);
  }

  async #useOnce<T>(zygote: ZygoteKey, make: (launcher: L) => Promise<T>): Promise<T> {
    const launcher = this.open(zygote);
    const opened = this.#opened.get(zygote.key);
    if (opened === undefined) return make(await launcher);
    opened.uses += 1;
    try {
      return await make(await launcher);
    } finally {
      opened.uses -= 1;
      opened.usedAtMs = performance.now();
    }
  }

  /**
   * The launcher of a zygote. @throws what opening it throws, or Error when there are as many as
   * there may be.
   */
  open(zygote: ZygoteKey): Promise<L> {
    if (this.#stopped.signal.aborted) return Promise.reject(new Error("The worker is shutting down."));
    const found = this.#opened.get(zygote.key);
    if (found === undefined && this.count >= this.#options.most) return this.#makeRoom();
    const opened = found ?? { zygote, launcher: this.#options.open(zygote.memoryMiB), usedAtMs: 0, uses: 0 };
    opened.usedAtMs = performance.now();
    this.#opened.delete(zygote.key);
    this.#opened.set(zygote.key, opened);
    if (found === undefined) this.#prepare(opened);
    return opened.launcher;
  }

  /** Has second zygotes kept from now on: say so when the worker has started. */
  keepStandbys(): void {
    this.#hasStandbys = true;
    for (const opened of this.#opened.values()) this.#prepare(opened);
  }

  #prepare({ zygote, launcher }: Opened<L>): void {
    launcher.then(
      (open) => this.#hasStandbys && this.#options.keepStandby(open, zygote),
      () => this.#opened.delete(zygote.key),
    );
  }

  /** Closes those that nobody has used for long and that have no sandbox. */
  async retireIdle(): Promise<void> {
    const longAgoMs = performance.now() - this.#options.idleMs;
    for (const [key, opened] of this.#opened) {
      if (!this.#mayLeave(key) || opened.usedAtMs > longAgoMs) continue;
      const launcher = await opened.launcher.catch(() => null);
      if (launcher?.count === 0 && this.#mayLeave(key)) this.#dismiss(key, launcher);
    }
  }

  /** Makes no more: whoever waits for a sandbox fails at once. */
  stop(): void {
    this.#stopped.abort();
  }

  /** Ends every launcher with its sandboxes; resolves when all of it is gone. */
  async close(): Promise<void> {
    this.stop();
    const opened = Array.from(this.#opened.values(), ({ launcher }) => this.#closeOne(launcher));
    await Promise.all([...opened, ...this.#leaving]);
  }

  /**
   * Has one make way, unless one does already. Always throws: whoever wants the place comes again.
   */
  async #makeRoom(): Promise<never> {
    const [victim] = [...this.#opened.keys()].filter((key) => this.#mayLeave(key));
    if (this.#leaving.size === 0 && victim !== undefined) {
      const launcher = await this.#opened.get(victim)?.launcher.catch(() => null);
      if (launcher && this.#leaving.size === 0 && this.#mayLeave(victim)) this.#dismiss(victim, launcher);
    }
    throw new Error(`there are ${this.#options.most} zygotes, as many as there may be (SANDPIPER_MAX_ZYGOTES)`);
  }

  #mayLeave(key: string): boolean {
    return key !== this.#options.kept.key && this.#opened.get(key)?.uses === 0;
  }

  /** Closes a launcher as soon as its sandboxes have made way. */
  #dismiss(key: string, launcher: L): void {
    this.#opened.delete(key);
    const emptied = launcher.retire();
    this.#options.onLeaving(key);
    const gone = Promise.race([emptied, aborted(this.#stopped.signal)]).then(() => this.#closeOne(launcher));
    this.#leaving.add(gone);
    void gone.then(() => this.#leaving.delete(gone));
  }

  async #closeOne(opened: L | Promise<L>): Promise<void> {
    const launcher = await Promise.resolve(opened).catch(() => null);
    await launcher?.close().catch((cause) => this.#options.onFailure("a launcher did not close cleanly", cause));
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function unavailable(cause: unknown): CallFailure {
  const message = "The worker could not make a sandbox. Try again; the worker's log has the reason.";
  return new CallFailure("platform_error", "SANDBOX_UNAVAILABLE", message, cause);
}
