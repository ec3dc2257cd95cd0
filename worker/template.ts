/**
 * A template as the worker sees it: a loaded instance that runs no call itself, and forks for each.
 *
 * A fork is made as soon as nothing is left of the one before, so that it is there when a call comes. Whatever goes
 * wrong in between ends the sandbox, and the next call gets another template.
 */
import { encodeFork, ProtocolError } from "../sandbox-core/protocol/frames.ts";
import { settledWithin } from "./ending.ts";
import { Fork, type ForkEnd } from "./fork.ts";
import type { Instance } from "./instance.ts";

/** How long a fork that has served its call may take to leave, and its template to clear up after it. */
const LEAVING_MS = 2_000;

export class Template {
  readonly #loaded: Instance;
  #fork: Fork | null = null;
  #forks = 0;

  /** @param loaded an instance that was loaded to be forked. */
  constructor(loaded: Instance) {
    this.#loaded = loaded;
    loaded.onForkEnded = (end) => this.#ended(end);
  }

  /**
   * An instance for one call, in a fork, once nothing is left of the call before.
   * @throws Error that says what stood in the way, and then the sandbox is ended
   */
  async next(): Promise<Instance> {
    try {
      return await this.#next();
    } catch (error) {
      this.#loaded.sandbox.kill(`it can be forked no more: ${(error as Error).message}`);
      throw error;
    }
  }

  async #next(): Promise<Instance> {
    const { sandbox } = this.#loaded;
    if (this.#fork !== null) {
      const exit = await settledWithin(LEAVING_MS, this.#fork.exited);
      if (exit === null) throw new Error("a call did not end its process");
    }
    const left = sandbox.wipe();
    if (left !== null) throw new Error(`a call left something behind: ${left}`);
    this.#forks += 1;
    this.#fork = new Fork(sandbox, sandbox.sendLanes(encodeFork()), this.#forks);
    return this.#loaded.ofFork(this.#fork, () => this.next());
  }

  #ended(end: ForkEnd): void {
    if (this.#fork === null || this.#fork.hasEnded) throw new ProtocolError("No fork was alive that could have ended.");
    this.#fork.end(end);
  }
}

/** Makes a template of an instance that can be forked, and gives the instance for its first call; others as they are. */
export async function firstOf(loaded: Instance): Promise<Instance> {
  return loaded.canBeForked ? new Template(loaded).next() : loaded;
}
