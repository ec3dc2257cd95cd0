/**
 * Privileges: the part of `sys` by which a process changes its user and gives up rights for good.
 */
import koffi from "koffi";
import { currentArchitecture } from "../abi/arch.ts";
import { SECCOMP_FILTER_FLAG, SECCOMP_SET_MODE_FILTER } from "../abi/linux.ts";
import { checked, first, firstTwo } from "./checked.ts";

const libc = koffi.load("libc.so.6");

const SECCOMP = currentArchitecture().syscalls.seccomp as number;
const FOR_ALL_THREADS = SECCOMP_FILTER_FLAG.TSYNC | SECCOMP_FILTER_FLAG.TSYNC_ESRCH;
const socketFilterProgram = koffi.struct({ length: "unsigned short", filter: "void *" });
const rawSeccomp: (
  number: number,
  operation: number,
  flags: number,
  program: { length: number; filter: Buffer },
) => number = libc.func("syscall", "long", ["long", "long", "long", koffi.pointer(socketFilterProgram)]) as never;

export const privilegeCalls = {
  setgroups: checked(
    "setgroups",
    libc.func("int setgroups(size_t size, const void *list)") as (size: number, list: null) => number,
  ),
  setresgid: checked(
    "setresgid",
    libc.func("int setresgid(unsigned int real, unsigned int effective, unsigned int saved)") as (
      ...ids: [number, number, number]
    ) => number,
    first,
  ),
  setresuid: checked(
    "setresuid",
    libc.func("int setresuid(unsigned int real, unsigned int effective, unsigned int saved)") as (
      ...ids: [number, number, number]
    ) => number,
    first,
  ),
  prctl: checked(
    "prctl",
    libc.func(
      "int prctl(int option, unsigned long two, unsigned long three, unsigned long four, unsigned long five)",
    ) as (...args: [number, number, number, number, number]) => number,
    firstTwo,
  ),
  setrlimit: checked(
    "setrlimit",
    libc.func("int setrlimit(int resource, const void *limit)") as (resource: number, limit: Buffer) => number,
    first,
  ),
  /** capset(2) with the header and data as the kernel lays them out. */
  capset: checked(
    "capset",
    libc.func("int capset(void *header, const void *data)") as (header: Buffer, data: Buffer) => number,
  ),
  /**
   * seccomp(2): installs a filter, an array of struct sock_filter, for this process and what it
   * forks.
   */
  installFilter: checked("seccomp", (filter: Buffer) =>
    rawSeccomp(SECCOMP, SECCOMP_SET_MODE_FILTER, 0, { length: filter.length / 8, filter }),
  ),
  /**
   * The same for every thread of this process, with no_new_privs; a thread that cannot take it is
   * an error.
   */
  installFilterForAll: checked("seccomp", (filter: Buffer) =>
    rawSeccomp(SECCOMP, SECCOMP_SET_MODE_FILTER, FOR_ALL_THREADS, { length: filter.length / 8, filter }),
  ),
  /**
   * landlock_create_ruleset(2) and landlock_add_rule(2), with their numbers; the C library has no
   * wrappers.
   */
  createRuleset: checked(
    "landlock_create_ruleset",
    libc.func("syscall", "long", ["long", "void *", "size_t", "unsigned int"]) as (
      number: number,
      attributes: Buffer,
      bytes: number,
      flags: number,
    ) => number,
  ),
  addRule: checked(
    "landlock_add_rule",
    libc.func("syscall", "long", ["long", "int", "int", "void *", "unsigned int"]) as (
      number: number,
      ruleset: number,
      kind: number,
      attributes: Buffer,
      flags: number,
    ) => number,
  ),
};
