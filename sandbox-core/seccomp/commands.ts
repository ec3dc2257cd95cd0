/**
 * The system calls of any command, besides those of one known program: what makes a shell a shell
 * and an editor an editor. A command stays in its sandbox: nothing here reaches past its own
 * processes, files and terminal.
 */
import { constants } from "node:os";
import { CLONE, FCNTL_LOCK, FCNTL_OFD_LOCK, PR_OF_COMMANDS, S_IFIFO, S_IFMT, TERMINAL_IOCTL } from "../abi/linux.ts";
import { BASE } from "./base.ts";
import { PROGRAM } from "./policy.ts";
import { allow, errno, type Policy, refuse } from "./rule.ts";
import { SOCKET_OPTIONS_OF_COMMANDS } from "./socket-options.ts";

export const COMMAND_POLICY: Policy = {
  otherwise: errno(constants.errno.EPERM),
  rules: [
    // The kernel tells of each lock who asked for it, for as long as that process lives. A lock
    // outlives it when another process has the same table of descriptors.
    refuse(
      "a table of descriptors that several processes have, other than threads: nobody would have their locks",
      constants.errno.EINVAL,
      ["clone"],
      [{ argument: 0, mask: CLONE.FILES | CLONE.THREAD, equals: CLONE.FILES }],
    ),
    ...BASE,
    ...PROGRAM,
    ...SOCKET_OPTIONS_OF_COMMANDS,
    allow("locks between its processes, and with whoever shares a directory that was bound for it", ["flock"]),
    allow("the same", ["fcntl"], [{ argument: 1, oneOf: Object.values(FCNTL_LOCK) }]),
    refuse(
      "locks of open files belong to no process; programs know this error from kernels without them",
      constants.errno.EINVAL,
      ["fcntl"],
      [{ argument: 1, oneOf: Object.values(FCNTL_OFD_LOCK) }],
    ),
    allow("job control: sessions and groups of its own processes", ["setsid", "setpgid"]),
    allow(
      "its own terminal; never TIOCSTI, which types into it",
      ["ioctl"],
      [{ argument: 1, oneOf: Object.values(TERMINAL_IOCTL) }],
    ),
    allow("attributes of files, which listings and copies look at", [
      "getxattr",
      "lgetxattr",
      "fgetxattr",
      "listxattr",
      "llistxattr",
      "flistxattr",
    ]),
    allow("giving a file to its owner again, as archivers do; anything else takes a capability", [
      "chown",
      "fchown",
      "lchown",
      "fchownat",
    ]),
    // A process may have a thousand of them. They run out in interrupts, whose time is charged to
    // no group: 40,000 in one moment had neighbours wait for a second. Neither Node nor esbuild has
    // any; timer_create(2) is bounded (RLIMIT_SIGPENDING).
    allow("timers as descriptors", ["timerfd_create", "timerfd_settime", "timerfd_gettime"]),
    allow("a lower priority, and fewer processors, for itself", ["setpriority", "sched_setaffinity"]),
    allow("watching its own files", ["inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch"]),
    allow("named pipes", ["mknodat"], [{ argument: 2, mask: S_IFMT, equals: S_IFIFO }]),
    allow("named pipes", ["mknod"], [{ argument: 1, mask: S_IFMT, equals: S_IFIFO }]),
    allow(
      "asking what holds it, and binding its children to itself",
      ["prctl"],
      [{ argument: 0, oneOf: Object.values(PR_OF_COMMANDS) }],
    ),
    // 54 KiB of the machine's budget for compiled filters (bpf_jit_limit) for each 4,096
    // instructions, charged to no group: a box of 128 tasks took 50 MiB of it, and when it is gone
    // nobody gets a sandbox. Programs know this error from kernels without filters, and go on.
    refuse("filters of its own are the machine's memory, and no limit bounds them", constants.errno.EINVAL, [
      "seccomp",
    ]),
  ],
};
