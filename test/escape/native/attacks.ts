/**
 * System calls that a tenant would like to make, written by hand: the policy must not be its own
 * judge.
 */
import type { SyscallName } from "../../../sandbox-core/abi/arch.ts";

type Arguments = readonly (number | bigint)[];

/** Refused with EPERM whatever the arguments. */
export const FORBIDDEN: readonly SyscallName[] = [
  // Programs, and code out of files that are not there.
  ...(["execve", "execveat", "memfd_create", "memfd_secret", "uselib"] as const),
  // Other processes.
  ...(["ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp"] as const),
  ...(["pidfd_open", "pidfd_getfd", "pidfd_send_signal"] as const),
  // Mounts and roots.
  ...([
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsconfig",
    "fsmount",
  ] as const),
  ...(["fspick", "mount_setattr", "quotactl", "quotactl_fd", "swapon", "swapoff", "statmount", "listmount"] as const),
  // Namespaces.
  ...(["unshare", "setns", "sethostname", "setdomainname"] as const),
  // Files by other ways than their names.
  ...(["name_to_handle_at", "open_by_handle_at", "mknod", "mknodat", "inotify_init1", "fanotify_init"] as const),
  // What the kernel runs for its callers.
  ...(["bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register"] as const),
  ...(["io_setup", "io_submit", "seccomp", "init_module", "finit_module", "delete_module", "kexec_load"] as const),
  // Keys, and what outlives a process.
  ...([
    "keyctl",
    "add_key",
    "request_key",
    "shmget",
    "shmat",
    "shmctl",
    "semget",
    "semctl",
    "semop",
    "msgget",
  ] as const),
  ...(["msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink"] as const),
  // Users, capabilities, limits, priorities.
  ...([
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setfsuid",
    "setfsgid",
    "setgroups",
  ] as const),
  ...(["capset", "personality", "setrlimit", "setpriority", "sched_setscheduler", "sched_setparam"] as const),
  ...(["sched_setattr", "sched_setaffinity", "ioprio_set", "chown", "fchown", "lchown", "fchownat"] as const),
  // The machine.
  ...(["reboot", "syslog", "acct", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "vhangup"] as const),
  ...(["iopl", "ioperm", "modify_ldt", "lookup_dcookie", "nfsservctl", "_sysctl", "sysfs", "ustat"] as const),
  // Memory beyond its own, and pinned.
  ...([
    "mbind",
    "set_mempolicy",
    "migrate_pages",
    "move_pages",
    "mlock",
    "mlock2",
    "mlockall",
    "remap_file_pages",
  ] as const),
  ...(["pkey_mprotect", "pkey_alloc", "vmsplice", "splice", "tee"] as const),
];

const NEW_NAMESPACES = [0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000];
const HIGH = 1n << 32n;
const [UNIX, INET, INET6, NETLINK, PACKET, ALG, VSOCK, XDP] = [1, 2, 10, 16, 17, 38, 40, 44];
const [STREAM, DGRAM, RAW, SEQPACKET, DCCP] = [1, 2, 3, 5, 6];

/** Call, arguments, what becomes of it. */
export const WITH_ARGUMENTS: readonly (readonly [SyscallName, Arguments, string])[] = [
  ["clone3", [0, 88], "ENOSYS"],
  ...NEW_NAMESPACES.map((flag) => ["clone", [flag | 17], "EPERM"] as const),
  ...[INET, INET6].map((family) => ["socket", [family, RAW, 1], "EPERM"] as const),
  ...[NETLINK, PACKET, ALG, VSOCK, XDP, 0, 3, 31, 45].map(
    (family) => ["socket", [family, STREAM, 0], "EPERM"] as const,
  ),
  ...[SEQPACKET, DCCP, RAW, 4, 10].map((type) => ["socket", [INET, type, 0], "EPERM"] as const),
  // ICMP, SCTP, L2TP, UDP-Lite, MPTCP, SMC: protocols whose modules anybody's socket(2) would load.
  ...[1, 132, 115, 136, 262, 256].flatMap((protocol) => [
    ["socket", [INET, STREAM, protocol], "EPERM"] as const,
    ["socket", [INET6, DGRAM, protocol], "EPERM"] as const,
  ]),
  ["socket", [NETLINK, RAW, 0], "EPERM"],
  ["socket", [ALG, SEQPACKET, 0], "EPERM"],
  ["socket", [UNIX, STREAM, 0], "ok"],
  ["socket", [INET, DGRAM, 0], "ok"],
  // TIOCSTI pushes input into a terminal; TIOCLINUX; the kernel looks at the lower half of the
  // command only.
  ["ioctl", [0, 0x5412, 0], "EPERM"],
  ["ioctl", [0, HIGH | 0x5412n, 0], "EPERM"],
  ["ioctl", [0, 0x541c, 0], "EPERM"],
  // Interfaces, routes, the rings of a packet socket, FIGETBSZ, FS_IOC_SETFLAGS, FICLONE.
  ...[0x8914, 0x8b1a, 0x890b, 2, 0x40086602, 0x40049409].map((command) => ["ioctl", [0, command, 0], "EPERM"] as const),
  // PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_SECUREBITS, PR_SET_MM, PR_SET_PTRACER,
  // PR_SET_NO_NEW_PRIVS.
  ...[4, 22, 24, 28, 35, 0x59616d61, 38, 47, 1].map((option) => ["prctl", [option, 1], "EPERM"] as const),
  // Locks are pretended, or not to be had: F_SETLK, F_SETLKW; F_OFD_GETLK, F_OFD_SETLK.
  ...[6, 7].map((command) => ["fcntl", [900, command, 0], "ok"] as const),
  ...[36, 37, 38].map((command) => ["fcntl", [0, command, 0], "EPERM"] as const),
  ["flock", [900, 2], "ok"],
  // F_SETOWN, F_SETSIG, F_SETLEASE, F_NOTIFY, F_SETPIPE_SZ, F_ADD_SEALS.
  ...[8, 10, 1024, 1026, 1031, 1033].map((command) => ["fcntl", [0, command, 0], "EPERM"] as const),
  // SO_LINGER; SO_ATTACH_FILTER and its kind, TCP_ULP, IP_ADD_MEMBERSHIP, IPT_SO_SET_REPLACE;
  // SO_PEERPIDFD, SO_PEERCRED.
  ["setsockopt", [900, 1, 13], "EINVAL"],
  ...[26, 50, 51, 52, 83].map((option) => ["setsockopt", [900, 1, option], "EPERM"] as const),
  ["setsockopt", [900, 6, 31], "EPERM"],
  ...[35, 64].map((option) => ["setsockopt", [900, 0, option], "EPERM"] as const),
  ...[17, 77].map((option) => ["getsockopt", [900, 1, option], "EPERM"] as const),
  ["prlimit64", [0, 7, 4096, 0], "EPERM"],
  ["prlimit64", [1, 7, 0, 4096], "EPERM"],
  ["prlimit64", [0, 7, HIGH, 0], "EPERM"],
  // A file's pages as code: PROT_READ | PROT_EXEC, MAP_PRIVATE.
  ["mmap", [0, 4096, 5, 2, 0, 0], "EPERM"],
  ["mmap", [0, 4096, 5, 1, 0, 0], "EPERM"],
];

/**
 * Calls that pass, and do nothing by the arguments that they are given here: what is one bit away
 * may not pass.
 */
export const HARMLESS: readonly (readonly [SyscallName, Arguments])[] = [
  ["clone", [17, 0, 0, 0, 0, 0]],
  ["socket", [1, 1, 0, 0, 0, 0]],
  ["socket", [2, 2, 0, 0, 0, 0]],
  ["setsockopt", [900, 1, 2, 0, 0, 0]],
  ["getsockopt", [900, 6, 1, 0, 0, 0]],
  ["ioctl", [0, 0x5421, 0, 0, 0, 0]],
  ["prctl", [15, 0, 0, 0, 0, 0]],
  ["fcntl", [0, 1, 0, 0, 0, 0]],
  ["prlimit64", [0, 7, 0, 0, 0, 0]],
  ["mmap", [0, 4096, 5, 0x22, 0, 0]],
];
