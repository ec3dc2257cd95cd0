/**
 * Which system calls a sandbox may make: data, with a reason for each rule. What is not named is EPERM.
 * `BASE` is what any program of ours needs; `FORK_POLICY` is for forked JavaScript, which never starts another
 * program; `EXEC_POLICY` adds what starting a program takes.
 */
import { constants } from "node:os";
import type { SyscallName } from "../abi/arch.ts";
import { AF, CLONE, F_DUPFD_CLOEXEC, IOCTL, MAP_ANONYMOUS, PR, PROT_EXEC, SECCOMP_RET, SOCK } from "../abi/linux.ts";

/**
 * A test of one argument: equal to a value, or to one of several, after a mask where there is one. All 64 bits count
 * unless `wide` is false, for arguments that the kernel itself reads as 32 bits.
 */
export type Condition = { argument: 0 | 1 | 2 | 3 | 4 | 5; mask?: number; wide?: false } & (
  | { equals: number }
  | { oneOf: readonly number[] }
);

export interface Rule {
  calls: readonly SyscallName[];
  reason: string;
  /** All must hold; a rule without conditions always matches. */
  when?: readonly Condition[];
  action: number;
}

export interface Policy {
  rules: readonly Rule[];
  otherwise: number;
}

const { EPERM, ENOSYS } = constants.errno;
const errno = (number: number) => SECCOMP_RET.ERRNO | number;

const allow = (reason: string, calls: readonly SyscallName[], when?: readonly Condition[]): Rule => ({
  calls,
  reason,
  action: SECCOMP_RET.ALLOW,
  ...(when ? { when } : {}),
});
const refuse = (reason: string, number: number, calls: readonly SyscallName[]): Rule => ({
  calls,
  reason,
  action: errno(number),
});

const NAMESPACE_FLAGS =
  CLONE.NEWTIME |
  CLONE.NEWNS |
  CLONE.NEWCGROUP |
  CLONE.NEWUTS |
  CLONE.NEWIPC |
  CLONE.NEWUSER |
  CLONE.NEWPID |
  CLONE.NEWNET;

/** fcntl(2) commands: descriptors, status flags and record locks; no leases, no notifications, no seals, no owners. */
const FCNTL_COMMANDS = [0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, F_DUPFD_CLOEXEC];

const BASE: readonly Rule[] = [
  allow("files and pipes by descriptor", [
    "read",
    "write",
    "readv",
    "writev",
    "pread64",
    "pwrite64",
    "preadv",
    "pwritev",
    "preadv2",
    "pwritev2",
    "close",
    "close_range",
    "lseek",
    "dup",
    "dup2",
    "dup3",
    "pipe",
    "pipe2",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "ftruncate",
    "fallocate",
    "fadvise64",
    "flock",
    "sendfile",
    "copy_file_range",
  ]),
  allow("the sandbox's own small file system", [
    "open",
    "openat",
    "creat",
    "stat",
    "fstat",
    "lstat",
    "newfstatat",
    "statx",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
    "getdents64",
    "getcwd",
    "chdir",
    "fchdir",
    "mkdir",
    "mkdirat",
    "rmdir",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "utime",
    "utimes",
    "futimesat",
    "utimensat",
    "truncate",
    "statfs",
    "fstatfs",
    "umask",
  ]),
  allow("waiting for events and timers", [
    "epoll_create1",
    "epoll_create",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "eventfd",
    "eventfd2",
    "timerfd_create",
    "timerfd_settime",
    "timerfd_gettime",
    "nanosleep",
    "clock_nanosleep",
    "clock_gettime",
    "clock_getres",
    "gettimeofday",
    "time",
    "setitimer",
    "getitimer",
    "timer_create",
    "timer_settime",
    "timer_gettime",
    "timer_getoverrun",
    "timer_delete",
    "alarm",
    "pause",
  ]),
  allow("memory: the compiler of JavaScript makes its code executable with mprotect", [
    "brk",
    "munmap",
    "mprotect",
    "mremap",
    "madvise",
    "mincore",
    "msync",
  ]),
  allow("threads and their locks", [
    "futex",
    "futex_waitv",
    "futex_wait",
    "futex_wake",
    "futex_requeue",
    "set_robust_list",
    "get_robust_list",
    "rseq",
    "membarrier",
    "sched_yield",
    "sched_getaffinity",
    "sched_getparam",
    "sched_getscheduler",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "getcpu",
    "gettid",
    "exit",
    "exit_group",
    "wait4",
    "waitid",
  ]),
  allow("signals within its own process namespace", [
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigsuspend",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    "sigaltstack",
    "restart_syscall",
    "kill",
    "tkill",
    "tgkill",
  ]),
  allow("who and where it is", [
    "getpid",
    "getppid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getgroups",
    "getresuid",
    "getresgid",
    "getpgrp",
    "getpgid",
    "getsid",
    "uname",
    "sysinfo",
    "getrusage",
    "times",
    "getrlimit",
    "getpriority",
    "capget",
  ]),
  allow("randomness", ["getrandom"]),
  allow("sockets that exist: its wire, and loopback within its own network namespace", [
    "socketpair",
    "bind",
    "connect",
    "listen",
    "accept",
    "accept4",
    "getsockname",
    "getpeername",
    "setsockopt",
    "getsockopt",
    "sendto",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "sendmmsg",
    "recvmmsg",
    "shutdown",
  ]),
  allow(
    "unix and internet sockets of the common types; no raw packets, and nothing that the kernel would load a module for",
    ["socket"],
    [
      { argument: 0, oneOf: [AF.UNIX, AF.INET, AF.INET6], wide: false },
      { argument: 1, mask: SOCK.TYPE_MASK, oneOf: [SOCK.STREAM, SOCK.DGRAM], wide: false },
      { argument: 2, oneOf: SOCK.PROTOCOLS, wide: false },
    ],
  ),
  allow(
    "new threads and processes, in the same namespaces",
    ["clone"],
    [{ argument: 0, mask: NAMESPACE_FLAGS, equals: 0 }],
  ),
  allow("plain copies of itself, bounded by the pids limit", ["fork", "vfork"]),
  refuse("its flags are behind a pointer, which a filter cannot read; the C library falls back to clone", ENOSYS, [
    "clone3",
  ]),
  allow(
    "reading its own limits, never setting any",
    ["prlimit64"],
    [
      { argument: 0, equals: 0, wide: false },
      { argument: 2, equals: 0 },
    ],
  ),
  allow("names of threads and of memory", ["prctl"], [{ argument: 0, oneOf: [PR.SET_NAME, PR.SET_VMA], wide: false }]),
  allow(
    "blocking modes and the size of what waits; TCGETS and TIOCGWINSZ answer whether it is a terminal",
    ["ioctl"],
    [{ argument: 1, oneOf: Object.values(IOCTL), wide: false }],
  ),
  allow("descriptor flags and record locks", ["fcntl"], [{ argument: 1, oneOf: FCNTL_COMMANDS, wide: false }]),
];

/** For JavaScript that runs in a fork of the zygote: it starts no program and maps no file as code. */
export const FORK_POLICY: Policy = {
  otherwise: errno(EPERM),
  rules: [
    ...BASE,
    allow("memory that is not code", ["mmap"], [{ argument: 2, mask: PROT_EXEC, equals: 0 }]),
    allow(
      "code that the compiler makes, never out of a file",
      ["mmap"],
      [{ argument: 3, mask: MAP_ANONYMOUS, equals: MAP_ANONYMOUS, wide: false }],
    ),
  ],
};

/** For a program that is started inside: a build, or the runtime when forks cannot be trusted. */
export const EXEC_POLICY: Policy = {
  otherwise: errno(EPERM),
  rules: [
    ...BASE,
    allow("starting the program, and mapping it and its libraries", ["execve", "mmap"]),
    allow("what the dynamic loader and the C library do first", ["arch_prctl", "set_tid_address"]),
  ],
};

/** For the zygote, before it is one: it may do all that root may, except make a ring that its forks would share. */
export const ZYGOTE_POLICY: Policy = {
  otherwise: SECCOMP_RET.ALLOW,
  rules: [
    refuse("the kernel takes orders out of a ring's memory, past every filter", ENOSYS, [
      "io_uring_setup",
      "io_uring_enter",
      "io_uring_register",
    ]),
  ],
};
