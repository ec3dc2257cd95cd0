/** The launchers of a worker: one for each memory class, opened on first use. */
import { setTimeout as delay } from "node:timers/promises";
import type { Launcher } from "../sandbox-core/index.ts";
import { CallFailure } from "./outcome.ts";

export interface LaunchersOptions<L extends Launcher> {
  open(memoryMiB: number): Promise<L>;
  /** How long a launch may go on failing before the call that waits for it fails. */
  giveUpMs: number;
  /** Told of every failure that is followed by another attempt, and of those that nobody waits for. */
  onFailure(message: string, cause: unknown): void;
}

const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 1_000;

/** Makes things with launchers, and hides that a zygote may die and come back meanwhile. */
export class Launchers<L extends Launcher = Launcher> {
  readonly #options: LaunchersOptions<L>;
  readonly #opened = new Map<number, Promise<L>>();
  readonly #stopped = new AbortController();

  constructor(options: LaunchersOptions<L>) {
    this.#options = options;
  }

  /**
   * Makes something with the launcher of a class, and tries again with growing pauses when that fails: a launcher heals
   * itself, and one that could not be opened is opened anew.
   * @throws CallFailure platform_error SANDBOX_UNAVAILABLE when it went on failing for `giveUpMs`.
   */
  async use<T>(memoryMiB: number, make: (launcher: L) => Promise<T>): Promise<T> {
    const giveUpAtMs = performance.now() + this.#options.giveUpMs;
    for (let pauseMs = FIRST_RETRY_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_RETRY_MS)) {
      try {
        return await make(await this.open(memoryMiB));
      } catch (cause) {
        if (this.#stopped.signal.aborted || performance.now() + pauseMs > giveUpAtMs) throw unavailable(cause);
        this.#options.onFailure(`no sandbox of ${memoryMiB} MiB could be made, trying again`, cause);
      }
      await delay(pauseMs, undefined, { signal: this.#stopped.signal }).catch(() => {});
    }
  }

  /** The launcher of a class. @throws what opening it throws. */
  open(memoryMiB: number): Promise<L> {
    if (this.#stopped.signal.aborted) return Promise.reject(new Error("The worker is shutting down."));
    let opened = this.#opened.get(memoryMiB);
    if (opened === undefined) {
      opened = this.#options.open(memoryMiB);
      opened.catch(() => this.#opened.delete(memoryMiB));
      this.#opened.set(memoryMiB, opened);
    }
    return opened;
  }

  /** Makes no more: whoever waits for a sandbox fails at once. */
  stop(): void {
    this.#stopped.abort();
  }

  /** Ends every launcher with its sandboxes; resolves when all of it is gone. */
  async close(): Promise<void> {
    this.stop();
    await Promise.all(Array.from(this.#opened.values(), (opened) => this.#closeOne(opened)));
  }

  async #closeOne(opened: Promise<L>): Promise<void> {
    const launcher = await opened.catch(() => null);
    await launcher?.close().catch((cause) => this.#options.onFailure("a launcher did not close cleanly", cause));
  }
}

function unavailable(cause: unknown): CallFailure {
  const message = "The worker could not make a sandbox. Try again; the worker's log has the reason.";
  return new CallFailure("platform_error", "SANDBOX_UNAVAILABLE", message, cause);
}
