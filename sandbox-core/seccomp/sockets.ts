/** System calls of sockets, and arguments of the one that makes them: the same in all filters. */
import type { SyscallName } from "../abi/arch.ts";
import { SOCK } from "../abi/linux.ts";
import { allBut } from "./rule.ts";

/** The calls on a socket that is there, but for its options. */
export const SOCKET_CALLS: readonly SyscallName[] = [
  "bind",
  "connect",
  "listen",
  "accept",
  "accept4",
  "getsockname",
  "getpeername",
  "sendto",
  "recvfrom",
  "sendmsg",
  "recvmsg",
  "sendmmsg",
  "recvmmsg",
  "shutdown",
];

/** The type in `socket(2)` and `socketpair(2)`, without its flags. */
export const SOCKET_TYPE = { argument: 1, mask: allBut(SOCK.CLOEXEC | SOCK.NONBLOCK) } as const;
