/** The order to a fork that waits, and how the fork receives it. */

import type { SandboxLimits } from "../contract/sandbox.ts";
import { LineReader, type Request } from "../protocol/control.ts";
import { sys } from "../syscall/libc.ts";

export type Launch = Extract<Request, { op: "launch" }>;

/** The parts of a sandbox that are made before its fork. */
export interface Place {
  hostId: number;
  group: string;
  /** The limits of the group. */
  limits: SandboxLimits;
  /** Whether it is to be in the host's network. */
  sharesNetwork: boolean;
}

/** A fork's order: the launch, and the parts that the zygote has made ready. */
export interface Order {
  launch: Launch;
  /** The root with the host's programs, if it has been made. */
  usrRoot?: string | undefined;
  terminalMount?: string | undefined;
}

/** Each fork of a zygote has a number of its own, by which it says what becomes of it. */
export interface WaitingFork {
  number: number;
  place: Place;
  /** 0 in the fork itself. */
  pid: number;
  pidfd: number;
  /** Where its order is written to; in the fork, where it comes from. */
  orders: number;
}

const ORDER_BYTES = 65_536;

// Made once, before any fork: memory that a fork has to make is its own page faults.
const buffer = Buffer.alloc(ORDER_BYTES);

/**
 * Waits in a fork for its order. The fork dies with its zygote meanwhile.
 * @throws SyscallError, or Error when the zygote is gone
 */
export function awaitOrder({ orders }: WaitingFork): Order {
  const lines = new LineReader<Order>();
  for (;;) {
    const count = sys.read(orders, buffer, ORDER_BYTES);
    if (count === 0) throw new Error("there was no order");
    const [line] = lines.push(buffer.subarray(0, count));
    if (line) return line;
  }
}
