/**
 * Sockets of egress that the zygote makes in a blank sandbox, until the worker has taken them
 * (pidfd_getfd(2)). Like files-mount.ts this goes where nobody inside may do such a thing, and
 * returns. A sandbox that is launched with egress has them from its own fork.
 */
import { CLONE, O } from "../abi/linux.ts";
import type { EgressSockets } from "../contract/egress.ts";
import { complain } from "../fork/complain.ts";
import { openEgressSockets } from "../fork/egress-sockets.ts";
import type { Response } from "../protocol/control.ts";
import { exitNow, sys } from "../syscall/libc.ts";
import type { Child } from "./children.ts";

type OpenedEgress = Extract<Response, { is: "opened_egress" }>;

/** Exit code of a zygote that must not go on. */
const EXIT_UNFIT = 71;

export class EgressHandOuts {
  readonly #waiting = new Map<string, number[]>();

  /** Makes the sockets of a sandbox, and what to tell the worker. Never throws. */
  open({ id, pidfd }: Pick<Child, "id" | "pidfd">, sockets: EgressSockets): OpenedEgress {
    try {
      if (this.#waiting.has(id)) throw new Error("its sockets are being made already");
      const fds = inNetworkOf(pidfd, () => openEgressSockets(sockets));
      this.#waiting.set(id, fds);
      return { is: "opened_egress", id, fds };
    } catch (error) {
      return { is: "opened_egress", id, fds: [], problem: (error as Error).message };
    }
  }

  /** The worker has its own descriptors, or wants none. */
  drop(id: string): void {
    for (const fd of this.#waiting.get(id) ?? []) sys.close(fd);
    this.#waiting.delete(id);
  }
}

let ownNetwork: number | undefined;

/** Does something in the network namespace of another process (setns(2)). @throws SyscallError */
function inNetworkOf<Result>(pidfd: number, work: () => Result): Result {
  ownNetwork ??= sys.open("/proc/self/ns/net", O.RDONLY | O.CLOEXEC);
  sys.setns(pidfd, CLONE.NEWNET);
  try {
    return work();
  } finally {
    returnTo(ownNetwork);
  }
}

/**
 * A zygote that cannot go back would make sockets of its own in a sandbox's network, and boxes of
 * the host's network would be in it: so it ends at once, and with it all of its sandboxes.
 */
function returnTo(own: number): void {
  try {
    sys.setns(own, CLONE.NEWNET);
  } catch (error) {
    complain(error);
    exitNow(EXIT_UNFIT);
  }
}
