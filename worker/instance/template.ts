/**
 * A template as the worker sees it: a loaded process that runs no call itself, and forks when it is
 * told to. Its forks are instances. With the isolation "invocation" they come one after another,
 * each for one call, with nothing left of the one before; else there are several at once, each in a
 * slot of its own, for as long as instances live.
 */
import { settledWithin } from "../../infra/std/time.ts";
import type { ForkableSandbox } from "../../sandbox-core/index.ts";
import { encodeEndFork, encodeFork, ProtocolError } from "../../sandbox-core/protocol/frames.ts";
import type { CallLog } from "../outcome/call-log.ts";
import { CallFailure } from "../outcome/outcome.ts";
import { Fork, type ForkEnd, LEAVING_MS } from "./fork.ts";
import type { Instance } from "./instance.ts";

/**
 * A version that takes longer to load is loaded once, and forked. Below this a fork saves less than
 * its template costs.
 */
const SLOW_LOAD_MS = 100;

export class Template {
  readonly #loaded: Instance;
  readonly #sandbox: ForkableSandbox;
  /** Forks that have not ended, by their numbers. */
  readonly #forks = new Map<number, Fork>();
  #made = 0;
  /** The last of the forks that are made one after another. */
  #last: Promise<unknown> = Promise.resolve();

  /** @param loaded an instance that became a template */
  constructor(loaded: Instance, sandbox: ForkableSandbox) {
    this.#loaded = loaded;
    this.#sandbox = sandbox;
    loaded.onForkEnded = (number, end) => this.#ended(number, end);
  }

  /** Whether it makes way for one with other secrets, or that may connect to something else. */
  get isOutdated(): boolean {
    return this.#loaded.isOutdated;
  }

  /**
   * An instance for one call, in a fork, once nothing is left of the call before; it gives the
   * next.
   * @param log gets what the function writes before its call; without, that is written between
   * calls
   * @throws CallFailure, and then the sandbox is ended
   */
  async next(log: CallLog | null): Promise<Instance> {
    try {
      return await this.#next(log);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /**
   * An instance in a fork beside those that there are.
   * @param log gets what the function writes before its first call
   * @throws CallFailure; what is to blame for it is ended
   */
  beside(log: CallLog): Promise<Instance> {
    // One at a time: a second process in the template's group must be the fork that is being made.
    const made = this.#last.then(() => this.#beside(log));
    this.#last = made.catch(() => {});
    return made;
  }

  async #next(log: CallLog | null): Promise<Instance> {
    for (const fork of this.#forks.values()) {
      // This fork has said that it leaves, or is unusable. Processes that it started may hold its
      // wire open.
      fork.kill("its call is over");
      const exit = await settledWithin(2 * LEAVING_MS, fork.exited);
      if (exit === null) throw new Error("a call did not end its process");
    }
    const left = this.#sandbox.cleanScratch();
    if (left !== null) throw new Error(`a call left something behind: ${left}`);
    return this.#loaded.inFork(this.#order(null), log, () => this.next(null));
  }

  async #beside(log: CallLog): Promise<Instance> {
    let fork: Fork;
    try {
      fork = await this.#orderInSlot();
    } catch (error) {
      throw this.#failed(error);
    }
    try {
      const instance = await this.#loaded.inFork(fork, log, null);
      if (fork.movedIn() && this.#sandbox.isAlone) return instance;
    } catch (error) {
      fork.kill("it did not begin");
      throw error;
    }
    throw this.#failed(new Error("a fork is not where it should be"));
  }

  async #orderInSlot(): Promise<Fork> {
    const slot = this.#sandbox.openForkSlot(this.#made + 1);
    try {
      return this.#order(slot);
    } catch (error) {
      await slot.close();
      throw error;
    }
  }

  #order(slot: ReturnType<ForkableSandbox["openForkSlot"]> | null): Fork {
    const [template, number] = [this.#sandbox, ++this.#made];
    const sockets = template.sendForkSockets(encodeFork(number), slot ?? undefined);
    const collect = () => this.#loaded.sandbox.wire.write(encodeEndFork(number));
    const fork = new Fork({ template, sockets, number, slot, collect });
    this.#forks.set(number, fork);
    void fork.exited.then(() => this.#forks.delete(number));
    return fork;
  }

  /** Ends the sandbox for what went wrong, and gives what the call that waits is told. */
  #failed(error: unknown): CallFailure {
    this.#sandbox.kill(`it can be forked no more: ${(error as Error).message}`);
    if (error instanceof CallFailure) return error;
    return new CallFailure("platform_error", "SANDBOX_LOST", undefined, error);
  }

  #ended(number: number, end: ForkEnd): void {
    if (!this.#forks.get(number)?.ended(end)) throw new ProtocolError("No such fork was to end.");
  }
}

/**
 * Makes a template of a loaded instance, if nothing stands in the way; else null. @throws
 * CallFailure when its sandbox ends
 */
export async function templateOf(loaded: Instance): Promise<Template | null> {
  const sandbox = loaded.sandbox as ForkableSandbox;
  if (!sandbox.isAlone) {
    // Forks would not have those processes of their own, and all of them would meet the same ones.
    loaded.noTemplateReason = "the module started processes of its own";
    return null;
  }
  return (await loaded.becomeTemplate()) ? new Template(loaded, sandbox) : null;
}

/**
 * Whether the version of an instance takes so long to load that further ones should be forks of it.
 */
export function isSlow({ loadMs }: Instance): boolean {
  return loadMs > SLOW_LOAD_MS;
}

/**
 * The instance for the first call of a version that was loaded: in a fork, where each call is to
 * have one and can.
 */
export async function firstOf(loaded: Instance, log: CallLog): Promise<Instance> {
  if (!loaded.servesOnce) return loaded;
  const template = await templateOf(loaded);
  return template === null ? loaded : template.next(log);
}
