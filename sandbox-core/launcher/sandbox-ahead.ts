/**
 * The next JavaScript sandbox of a zygote, made whole before anybody asks for it: it is launched
 * like any other, every wall stands, and its runtime waits for a `load` frame. A launch that wants
 * the same limits takes it.
 *
 * Until then it belongs to nobody, and nothing of a tenant's is near it. One that waits is made
 * with the limits of the launch before; a launch with others takes the ordinary way and leaves it,
 * and the second such launch in a row has it replaced. One that dies while it waits is never given
 * away: the launch that misses it makes its own, and the next one to wait.
 */
import { isDeepStrictEqual } from "node:util";
import type { SandboxLimits } from "../contract/sandbox.ts";
import type { LaunchedSandbox } from "./sandbox.ts";

/** Launches in a row that the waiting sandbox did not suit, after which it is replaced. */
const MOST_MISSES = 2;

interface Next {
  id: string;
  limits: SandboxLimits;
  made: Promise<LaunchedSandbox>;
}

export class SandboxAhead {
  readonly #launch: (id: string, limits: SandboxLimits) => Promise<LaunchedSandbox>;
  #next: Next | undefined;
  #misses = 0;
  #isOver = false;

  constructor(launch: (id: string, limits: SandboxLimits) => Promise<LaunchedSandbox>) {
    this.#launch = launch;
  }

  /** The launch's id of the one that nobody has asked for, if there is one. */
  get id(): string | undefined {
    return this.#next?.id;
  }

  /** Makes the next one, unless there is one or `end` was called. */
  make(id: string, limits: SandboxLimits): void {
    if (this.#next || this.#isOver) return;
    const made = this.#launch(id, limits);
    const next = { id, limits, made };
    this.#next = next;
    this.#misses = 0;
    // The launch that needs it is refused itself, and says why.
    made.catch(() => this.forget(id));
  }

  /**
   * The waiting one, if it has these limits. Resolves as soon as it is made; with undefined when
   * there is none, or it is dead. Never rejects.
   */
  async take(limits: SandboxLimits): Promise<LaunchedSandbox | undefined> {
    const next = this.#next;
    if (!next) return undefined;
    if (!isDeepStrictEqual(next.limits, limits)) {
      this.#misses += 1;
      if (this.#misses >= MOST_MISSES) this.#drop();
      return undefined;
    }
    this.#next = undefined;
    const sandbox = await next.made.catch(() => undefined);
    return sandbox?.isThere ? sandbox : undefined;
  }

  /** The one of that id has ended. */
  forget(id: string): void {
    if (this.#next?.id === id) this.#next = undefined;
  }

  /** Ends the waiting one, and makes no more. */
  end(): void {
    this.#isOver = true;
    this.#drop();
  }

  #drop(): void {
    const dropped = this.#next;
    this.#next = undefined;
    void dropped?.made.then(
      (sandbox) => sandbox.kill("nobody needs it"),
      () => undefined,
    );
  }
}
