/**
 * Sockets of sandboxes that the zygote has made for its worker, until the worker has taken them
 * (pidfd_getfd(2)).
 */
import type { EgressSockets } from "../contract/egress.ts";
import { GO_ON } from "../fork/order.ts";
import type { Response } from "../protocol/control.ts";
import { sys } from "../syscall/libc.ts";
import { writeLine } from "../syscall/write-line.ts";
import type { Child } from "./children.ts";
import { openEgressSockets } from "./egress-sockets.ts";

type OpenedEgress = Extract<Response, { is: "opened_egress" }>;

export class EgressHandOuts {
  readonly #waiting = new Map<string, number[]>();

  /** Makes the sockets of a sandbox, and what to tell the worker. Never throws. */
  open({ id, pidfd }: Pick<Child, "id" | "pidfd">, sockets: EgressSockets): OpenedEgress {
    try {
      if (this.#waiting.has(id)) throw new Error("its sockets are being made already");
      const fds = openEgressSockets(pidfd, sockets);
      this.#waiting.set(id, fds);
      return { is: "opened_egress", id, fds };
    } catch (error) {
      return { is: "opened_egress", id, fds: [], problem: (error as Error).message };
    }
  }

  /**
   * Makes the sockets that a fork waits for, and lets it go on. Says why there are none, or
   * undefined.
   * @throws SyscallError, EPIPE when it is dead
   */
  provide(child: Child): string | undefined {
    if (!child.egress) return undefined;
    const { problem } = this.open(child, child.egress.sockets);
    if (problem === undefined) writeLine(child.egress.orders, GO_ON);
    return problem;
  }

  /** The descriptors that were made for a fork, for the worker to take. */
  handOut(id: string): readonly number[] | undefined {
    return this.#waiting.get(id);
  }

  /** The worker has its own descriptors, wants none, or was not told of them. */
  drop(id: string): void {
    for (const fd of this.#waiting.get(id) ?? []) sys.close(fd);
    this.#waiting.delete(id);
  }

  /** The sandbox waits no more: it goes on, or has ended. */
  release(child: Child): void {
    if (child.egress) sys.close(child.egress.orders);
    child.egress = undefined;
  }
}
