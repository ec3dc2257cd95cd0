/**
 * The sockets of egress that a fork makes and hands to the holder of its sandbox, over a pair of
 * sockets of this launch's own. Only the holder has both ends, and the fork has its end for the
 * moment in which it sends: as root, before it locks itself in and says a word on any connection.
 */
import { closeSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { type EgressSockets, MOST_EGRESS_PORTS } from "../contract/egress.ts";
import type { EgressHandOver } from "../protocol/control.ts";
import { sys } from "../syscall/libc.ts";
import { closeAll } from "./descriptors.ts";

/** A socket for names, and a listener for each port. */
const MOST_SOCKETS = 1 + MOST_EGRESS_PORTS;

/** The sockets that a sandbox was launched with. */
export class LaunchedEgress {
  readonly #sockets: EgressSockets;
  readonly #fds: number[];

  constructor(sockets: EgressSockets, fds: number[]) {
    this.#sockets = sockets;
    this.#fds = fds;
  }

  /** Descriptors of the sockets, once; undefined when others are wanted, and these are closed. */
  take(wanted: EgressSockets): number[] | undefined {
    if (!isDeepStrictEqual(wanted, this.#sockets)) this.close();
    const fds = this.#fds.splice(0);
    return fds.length > 0 ? fds : undefined;
  }

  close(): void {
    closeAll(this.#fds.splice(0));
  }
}

/** The holder's side of one launch. */
export class EgressReceiver {
  readonly request: EgressHandOver;
  readonly #from: number;
  #isOpen = true;

  /** @throws SyscallError when there is no descriptor left */
  constructor(sockets: EgressSockets) {
    const [from, to] = sys.socketpair();
    this.#from = from;
    this.request = { sockets, to };
  }

  /**
   * The sockets of a fork that has locked itself in, which has sent them by then.
   * @throws SyscallError, or Error when the fork sent others than it was told to
   */
  receive(): LaunchedEgress {
    const { sockets } = this.request;
    // Else a fork that sent none would be waited for.
    this.#closeOther();
    try {
      const fds = sys.receiveDescriptors(this.#from, Buffer.alloc(1), MOST_SOCKETS) ?? [];
      const launched = new LaunchedEgress(sockets, fds);
      if (fds.length === 1 + sockets.ports.length) return launched;
      launched.close();
      throw new Error(`${fds.length} sockets of its egress came, for ${sockets.ports.length} ports`);
    } finally {
      closeSync(this.#from);
    }
  }

  /** Nobody wants them any more; idempotent. */
  close(): void {
    if (!this.#isOpen) return;
    this.#closeOther();
    closeSync(this.#from);
  }

  #closeOther(): void {
    this.#isOpen = false;
    closeSync(this.request.to);
  }
}
