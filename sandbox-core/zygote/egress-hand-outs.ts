/**
 * Sockets of sandboxes that the zygote has made for its worker, until the worker has taken them
 * (pidfd_getfd(2)).
 */
import type { EgressSockets } from "../contract/egress.ts";
import type { Response } from "../protocol/control.ts";
import { sys } from "../syscall/libc.ts";
import { openEgressSockets } from "./egress-sockets.ts";

export class EgressHandOuts {
  readonly #waiting = new Map<string, number[]>();

  /** Makes the sockets of a sandbox, and what to tell the worker. Never throws. */
  open({ id, pidfd }: { id: string; pidfd: number }, sockets: EgressSockets): Response {
    try {
      if (this.#waiting.has(id)) throw new Error("its sockets are being made already");
      const fds = openEgressSockets(pidfd, sockets);
      this.#waiting.set(id, fds);
      return { is: "opened_egress", id, fds };
    } catch (error) {
      return { is: "opened_egress", id, fds: [], problem: (error as Error).message };
    }
  }

  /** The worker has its own descriptors, or the sandbox has ended. */
  drop(id: string): void {
    for (const fd of this.#waiting.get(id) ?? []) sys.close(fd);
    this.#waiting.delete(id);
  }
}
