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
import { randomBytes } from "node:crypto";
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

/** The zygote that it is a sandbox of, and what is made by it. */
export interface SandboxAheadSource {
  launch: (id: string, limits: SandboxLimits) => Promise<LaunchedSandbox>;
  /** Whether a launch is on its way. */
  isBusy: () => boolean;
  /** Whether the launch of that id is on its way, or its sandbox there. */
  has: (id: string) => boolean;
}

export class SandboxAhead {
  readonly #source: SandboxAheadSource;
  #next: Next | undefined;
  /** The limits of the one to be made as soon as no launch is on its way. */
  #wanted: SandboxLimits | undefined;
  #misses = 0;
  #isOver: boolean;

  /** @param isWanted whether any is to be made */
  constructor(isWanted: boolean, source: SandboxAheadSource) {
    this.#isOver = !isWanted;
    this.#source = source;
  }

  /** How many of its zygote's sandboxes nobody has asked for: 1 or 0. */
  get count(): number {
    return this.#next !== undefined && this.#source.has(this.#next.id) ? 1 : 0;
  }

  /** Has the next one made as soon as the zygote makes nothing else. */
  want(limits: SandboxLimits): void {
    this.#wanted = limits;
    this.makeIfIdle();
  }

  /** Makes the one that is wanted, unless a launch is on its way: call it when one has ended. */
  makeIfIdle(): void {
    const limits = this.#wanted;
    if (limits === undefined || this.#isOver || this.#source.isBusy()) return;
    this.#wanted = undefined;
    if (this.#next) return;
    const id = newLaunchId();
    const made = this.#source.launch(id, limits);
    this.#next = { id, limits, made };
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
    if (!sandbox?.isThere) return undefined;
    this.want(limits);
    return sandbox;
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

/** Names a launch between a worker and its zygote. */
export function newLaunchId(): string {
  return randomBytes(8).toString("hex");
}
