/**
 * Which system calls a sandbox may make: data, with a reason for each rule. A call that is not
 * named is EPERM. `BASE` is what any program of ours needs; `FORK_POLICY` is for forked JavaScript,
 * which never starts another program; `EXEC_POLICY` adds what starting a program takes.
 */
import { constants } from "node:os";
import { ARCH_FS, FCNTL_LOCK, MADV_DONTFORK, MAP_ANONYMOUS, PROT_EXEC, SECCOMP_RET } from "../abi/linux.ts";
import { BASE } from "./base.ts";
import { allow, errno, type Policy, pretend, type Rule, refuse } from "./rule.ts";

const { EPERM, ENOSYS } = constants.errno;

const { GETLK, SETLK, SETLKW } = FCNTL_LOCK;

/**
 * A sandbox is alone with its files, so a lock of them keeps nobody out: SQLite asks for some, and
 * goes on with the answer. A real one would be memory of the kernel's that no cgroup is charged for
 * and no limit bounds (RLIMIT_LOCKS has not been looked at since Linux 2.4), and where sandboxes
 * share an inode, one would learn of another's.
 */
const NO_LOCKS: readonly Rule[] = [
  pretend("there is nobody to keep out", ["flock"]),
  pretend("there is nobody to keep out", ["fcntl"], [{ argument: 1, oneOf: [SETLK, SETLKW] }]),
  allow("asking who is in the way: nobody is", ["fcntl"], [{ argument: 1, equals: GETLK }]),
];

/**
 * For JavaScript that runs in a fork of the zygote: it starts no program and maps no file as code.
 */
export const FORK_POLICY: Policy = {
  otherwise: errno(EPERM),
  rules: [
    ...BASE,
    ...NO_LOCKS,
    allow("memory that is not code", ["mmap"], [{ argument: 2, mask: PROT_EXEC, equals: 0 }]),
    allow(
      "code that the compiler makes, never out of a file",
      ["mmap"],
      [{ argument: 3, mask: MAP_ANONYMOUS, equals: MAP_ANONYMOUS }],
    ),
  ],
};

/** The system calls of a program's start, besides those that any program of ours needs. */
export const PROGRAM: readonly Rule[] = [
  allow("starting the program, and mapping it and its libraries", ["execve", "mmap"]),
  allow("what the C library does first", ["set_tid_address"]),
  allow("where a thread's own variables are", ["arch_prctl"], [{ argument: 0, oneOf: Object.values(ARCH_FS) }]),
];

/** For a program that is started inside: a build, or the runtime when forks cannot be trusted. */
export const EXEC_POLICY: Policy = { otherwise: errno(EPERM), rules: [...BASE, ...NO_LOCKS, ...PROGRAM] };

/**
 * For the zygote, before it is one: it may do all that root may, except make a ring that its forks
 * would share, and have memory that they would not.
 */
export const ZYGOTE_POLICY: Policy = {
  otherwise: SECCOMP_RET.ALLOW,
  rules: [
    pretend(
      "V8 keeps its heap from forks, which die at their first access; undone before each fork, it would be missing from what V8 maps in between",
      ["madvise"],
      [{ argument: 2, equals: MADV_DONTFORK }],
    ),
    refuse("the kernel takes orders out of a ring's memory, past every filter", ENOSYS, [
      "io_uring_setup",
      "io_uring_enter",
      "io_uring_register",
    ]),
  ],
};
