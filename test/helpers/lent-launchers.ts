/**
 * Launchers that one pool after the other has, so that a zygote, a second or two of a processor,
 * is not started for each test of a file.
 */
import type { Launcher } from "../../sandbox-core/index.ts";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";

/** A launcher as a pool has it: what closes it may give it back instead. */
export class LentLauncher implements Launcher {
  readonly #launcher: ZygoteLauncher;
  readonly #zygote: number;
  readonly #close: (isAsItWas: boolean) => Promise<void>;
  #isSpent = false;

  constructor(launcher: ZygoteLauncher, zygote: number, close: (isAsItWas: boolean) => Promise<void>) {
    this.#launcher = launcher;
    this.#zygote = zygote;
    this.#close = close;
  }

  get kind() {
    return this.#launcher.kind;
  }

  get count(): number {
    return this.#launcher.count;
  }

  launch(...limits: Parameters<Launcher["launch"]>): ReturnType<Launcher["launch"]> {
    return this.#launcher.launch(...limits);
  }

  zygotePid(): Promise<number> {
    return this.#launcher.zygotePid();
  }

  keepStandby(): void {
    this.#isSpent = true;
    this.#launcher.keepStandby();
  }

  retire(): Promise<void> {
    this.#isSpent = true;
    return this.#launcher.retire();
  }

  async close(): Promise<void> {
    const isIdle = !this.#isSpent && this.count === 0;
    await this.#close(isIdle && (await this.zygotePid().catch(() => null)) === this.#zygote);
  }
}

/** Of launchers that are all opened alike, but for their memory. Close it after the last pool. */
export class LentLaunchers {
  readonly #open: (memoryMiB: number) => Promise<ZygoteLauncher>;
  /** Those that nobody has, by their memory. */
  readonly #kept = new Map<number, ZygoteLauncher[]>();

  constructor(open: (memoryMiB: number) => Promise<ZygoteLauncher>) {
    this.#open = open;
  }

  /**
   * One with a zygote that lives and has no sandbox. Its `close` gives it back when it is as it
   * was: it has no sandbox and makes none, was not retired, and its zygote is the same.
   */
  async lend(memoryMiB: number): Promise<LentLauncher> {
    const launcher = this.#kept.get(memoryMiB)?.pop() ?? (await this.#open(memoryMiB));
    return new LentLauncher(launcher, await launcher.zygotePid(), async (isAsItWas) => {
      if (!isAsItWas) return launcher.close();
      this.#kept.set(memoryMiB, [...(this.#kept.get(memoryMiB) ?? []), launcher]);
    });
  }

  async close(): Promise<void> {
    const kept = [...this.#kept.values()].flat();
    this.#kept.clear();
    await Promise.all(kept.map((launcher) => launcher.close()));
  }
}
