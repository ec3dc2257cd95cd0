/**
 * The system calls of the relay of egress, and of the injector beside it, once they have locked
 * themselves in: data, with a reason for each rule. By then all of their code is loaded: they start
 * nothing and fork nothing. The relay only reads files, and the injector opens none.
 */
import { constants } from "node:os";
import {
  AF,
  FCNTL,
  IOCTL,
  IPPROTO,
  MAP_ANONYMOUS,
  NETLINK_ROUTE,
  O_ACCESS,
  PROT_EXEC,
  SECCOMP_RET,
  SOCK,
  SPLICE_F,
} from "../abi/linux.ts";
import { allow, errno, type Policy, type Rule, refuse } from "./rule.ts";
import { SOCKET_CALLS, SOCKET_TYPE } from "./sockets.ts";

const { EPERM, ENOSYS } = constants.errno;

/** The calls of a process of Node that is loaded and goes on with what it holds. */
const RULES_OF_BOTH: readonly Rule[] = [
  allow("bytes by descriptor", ["read", "write", "readv", "writev", "pread64", "close"]),
  allow("what kind of file or socket it is", ["stat", "fstat", "newfstatat", "statx", "lseek"]),
  allow("waiting", [
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "poll",
    "ppoll",
    "nanosleep",
    "clock_nanosleep",
    "clock_gettime",
    "clock_getres",
    "gettimeofday",
    "time",
  ]),
  allow("memory, and code that the compiler makes with mprotect", ["brk", "munmap", "mprotect", "mremap", "madvise"]),
  allow("memory that is not code", ["mmap"], [{ argument: 2, mask: PROT_EXEC, equals: 0 }]),
  allow(
    "code of the compiler's, never out of a file",
    ["mmap"],
    [{ argument: 3, mask: MAP_ANONYMOUS, equals: MAP_ANONYMOUS }],
  ),
  allow("threads that are there already, and their locks", [
    "futex",
    "set_robust_list",
    "rseq",
    "membarrier",
    "sched_yield",
    "sched_getaffinity",
    "getcpu",
    "gettid",
    "getpid",
    "exit",
    "exit_group",
  ]),
  allow("handling signals, and ending itself by one", [
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "restart_syscall",
    "tgkill",
  ]),
  allow("figures of itself", ["getrusage", "uname", "sysinfo", "getuid", "geteuid", "getgid", "getegid"]),
  allow("randomness", ["getrandom"]),
  allow("blocking modes and flags", ["ioctl"], [{ argument: 1, oneOf: Object.values(IOCTL) }]),
  allow("descriptor flags", ["fcntl"], [{ argument: 1, oneOf: Object.values(FCNTL) }]),
];

export const RELAY_POLICY: Policy = {
  otherwise: errno(EPERM),
  rules: [
    ...RULES_OF_BOTH,
    allow(
      "the host's list of names, and its name servers",
      ["openat"],
      [{ argument: 2, mask: O_ACCESS.MASK | O_ACCESS.CHANGES, equals: 0 }],
    ),
    allow(
      "the same on architectures that have it",
      ["open"],
      [{ argument: 1, mask: O_ACCESS.MASK | O_ACCESS.CHANGES, equals: 0 }],
    ),
    allow(
      "bytes between a socket and its pipe, from where they are to where they go next",
      ["splice"],
      [
        { argument: 1, equals: 0 },
        { argument: 3, equals: 0 },
        { argument: 5, equals: SPLICE_F.MOVE | SPLICE_F.NONBLOCK },
      ],
    ),
    allow("sockets that it was given, and those that it makes", [...SOCKET_CALLS, "setsockopt", "getsockopt"]),
    allow(
      "TCP to hosts, UDP to name servers",
      ["socket"],
      [
        { argument: 0, oneOf: [AF.INET, AF.INET6] },
        { ...SOCKET_TYPE, oneOf: [SOCK.STREAM, SOCK.DGRAM] },
        { argument: 2, oneOf: Object.values(IPPROTO) },
      ],
    ),
    allow(
      "asking for the host's own addresses",
      ["socket"],
      [
        { argument: 0, equals: AF.NETLINK },
        { ...SOCKET_TYPE, equals: SOCK.RAW },
        { argument: 2, equals: NETLINK_ROUTE },
      ],
    ),
    allow(
      "the ends of connections that the injector gets",
      ["socketpair"],
      [
        { argument: 0, equals: AF.UNIX },
        { ...SOCKET_TYPE, equals: SOCK.STREAM },
        { argument: 2, equals: IPPROTO.DEFAULT },
      ],
    ),
  ],
};

/** The injector makes no socket, and connects to nothing. */
export const INJECTOR_POLICY: Policy = {
  otherwise: errno(EPERM),
  rules: [
    ...RULES_OF_BOTH,
    allow("sockets that it was given", ["getsockname", "getsockopt", "sendmsg", "recvmsg", "shutdown"]),
  ],
};

/** For each of them before its code is loaded. */
export const NO_RINGS_POLICY: Policy = {
  otherwise: SECCOMP_RET.ALLOW,
  rules: [
    refuse("the kernel takes orders out of a ring's memory, past every filter", ENOSYS, [
      "io_uring_setup",
      "io_uring_enter",
      "io_uring_register",
    ]),
  ],
};
