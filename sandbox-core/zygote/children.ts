/**
 * The sandboxes of a zygote that have their order: each is a child of it, watched through a pidfd.
 */
import { endOf, type ProgramEnd, type Refusal } from "../protocol/control.ts";
import { sys } from "../syscall/libc.ts";
import type { Poller } from "./poller.ts";

export interface Child {
  /** The launch's id, by which the worker names the sandbox. */
  id: string;
  /** The child's number among the forks of this zygote. */
  number: number;
  pid: number;
  pidfd: number;
  hostId: number;
  group: string;
  /** Whether the launch is answered only when the child has started a program. */
  isProgram: boolean;
  /** The pid of its program inside, once that has been started. */
  program?: number;
  /** Why the child was not locked in, or its program not started. */
  refusal?: Refusal;
  /** How its program ended, which its first process tells before it ends as well. */
  end?: ProgramEnd;
}

export class Children {
  readonly #poller: Poller;
  readonly #byPidfd = new Map<number, Child>();
  readonly #byId = new Map<string, Child>();
  readonly #byNumber = new Map<number, Child>();

  constructor(poller: Poller) {
    this.#poller = poller;
  }

  /** Adds a child, whose pidfd the poller has already. */
  add(child: Child): void {
    this.#byPidfd.set(child.pidfd, child);
    this.#byId.set(child.id, child);
    this.#byNumber.set(child.number, child);
  }

  withPidfd(pidfd: number): Child | undefined {
    return this.#byPidfd.get(pidfd);
  }

  withId(id: string): Child | undefined {
    return this.#byId.get(id);
  }

  withNumber(number: number): Child | undefined {
    return this.#byNumber.get(number);
  }

  /** All of them, as they are now. */
  all(): Child[] {
    return [...this.#byPidfd.values()];
  }

  /**
   * Collects a child that has ended, or is about to, and says how it ended.
   * @throws SyscallError
   */
  reap(child: Child): ProgramEnd {
    const word = Buffer.alloc(4);
    sys.waitpid(child.pid, word, 0);
    this.#poller.remove(child.pidfd);
    sys.close(child.pidfd);
    this.#byPidfd.delete(child.pidfd);
    this.#byId.delete(child.id);
    this.#byNumber.delete(child.number);
    return endOf(word.readInt32LE(0));
  }
}
