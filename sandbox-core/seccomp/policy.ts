/**
 * Which system calls a sandbox may make: data, with a reason for each rule. What is not named is EPERM.
 * `BASE` is what any program of ours needs; `FORK_POLICY` is for forked JavaScript, which never starts another
 * program; `EXEC_POLICY` adds what starting a program takes.
 */
import { constants } from "node:os";
import { ARCH_FS, MAP_ANONYMOUS, PROT_EXEC, SECCOMP_RET } from "../abi/linux.ts";
import { BASE } from "./base.ts";
import { allow, errno, type Policy, refuse } from "./rule.ts";

const { EPERM, ENOSYS } = constants.errno;

/** For JavaScript that runs in a fork of the zygote: it starts no program and maps no file as code. */
export const FORK_POLICY: Policy = {
  otherwise: errno(EPERM),
  rules: [
    ...BASE,
    allow("memory that is not code", ["mmap"], [{ argument: 2, mask: PROT_EXEC, equals: 0 }]),
    allow(
      "code that the compiler makes, never out of a file",
      ["mmap"],
      [{ argument: 3, mask: MAP_ANONYMOUS, equals: MAP_ANONYMOUS }],
    ),
  ],
};

/** For a program that is started inside: a build, or the runtime when forks cannot be trusted. */
export const EXEC_POLICY: Policy = {
  otherwise: errno(EPERM),
  rules: [
    ...BASE,
    allow("starting the program, and mapping it and its libraries", ["execve", "mmap"]),
    allow("what the C library does first", ["set_tid_address"]),
    allow("where a thread's own variables are", ["arch_prctl"], [{ argument: 0, oneOf: Object.values(ARCH_FS) }]),
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
