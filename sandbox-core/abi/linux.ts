/**
 * The kernel's numbers by name, the same on x86-64 and arm64. Each group names the header that it
 * comes from.
 */

/**
 * include/uapi/linux/sched.h: namespaces to leave, and flags of clone(2), whose lowest byte is a
 * signal.
 */
export const CLONE = {
  VM: 0x100,
  FS: 0x200,
  FILES: 0x400,
  SIGHAND: 0x800,
  VFORK: 0x4000,
  THREAD: 0x10000,
  SYSVSEM: 0x40000,
  SETTLS: 0x80000,
  PARENT_SETTID: 0x100000,
  CHILD_CLEARTID: 0x200000,
  DETACHED: 0x400000,
  CHILD_SETTID: 0x1000000,
  NEWTIME: 0x80,
  NEWNS: 0x20000,
  NEWCGROUP: 0x2000000,
  NEWUTS: 0x4000000,
  NEWIPC: 0x8000000,
  NEWUSER: 0x10000000,
  NEWPID: 0x20000000,
  NEWNET: 0x40000000,
} as const;

/** include/uapi/linux/stat.h: the kind of a file, in its mode. */
export const S_IFMT = 0o170000;
export const S_IFIFO = 0o010000;

/** include/uapi/linux/mount.h: flags of mount(2) and umount2(2). */
export const MS = {
  RDONLY: 0x1,
  NOSUID: 0x2,
  NODEV: 0x4,
  NOEXEC: 0x8,
  REMOUNT: 0x20,
  NOATIME: 0x400,
  BIND: 0x1000,
  REC: 0x4000,
  PRIVATE: 0x40000,
} as const;
export const MNT_DETACH = 0x2;

/** include/uapi/asm-generic/mman-common.h */
export const MADV_DONTFORK = 10;
export const MADV_COLLAPSE = 25;
export const PROT_NONE = 0;
export const PROT_EXEC = 0x4;
export const MAP_PRIVATE = 0x2;
export const MAP_ANONYMOUS = 0x20;
export const MAP_NORESERVE = 0x4000;
export const MAP_FIXED_NOREPLACE = 0x100000;

/** include/uapi/linux/prctl.h */
export const PR = {
  SET_PDEATHSIG: 1,
  SET_DUMPABLE: 4,
  SET_NAME: 15,
  CAPBSET_DROP: 24,
  SET_NO_NEW_PRIVS: 38,
  CAP_AMBIENT: 47,
  CAP_AMBIENT_CLEAR_ALL: 4,
  SET_VMA: 0x53564d41,
  SET_VMA_ANON_NAME: 0,
} as const;
/** Options that only read, or that bind the caller itself. */
export const PR_OF_COMMANDS = {
  SET_PDEATHSIG: 1,
  GET_PDEATHSIG: 2,
  GET_DUMPABLE: 3,
  GET_NAME: 16,
  GET_SECCOMP: 21,
  CAPBSET_READ: 23,
  SET_CHILD_SUBREAPER: 36,
  GET_CHILD_SUBREAPER: 37,
  SET_NO_NEW_PRIVS: 38,
  GET_NO_NEW_PRIVS: 39,
} as const;

/**
 * arch/x86/include/uapi/asm/prctl.h: what arch_prctl(2) may set and tell; other architectures have
 * no such call.
 */
export const ARCH_FS = { SET: 0x1002, GET: 0x1003 } as const;

/** include/uapi/linux/capability.h */
export const CAPABILITY_VERSION_3 = 0x20080522;

/** include/uapi/asm-generic/fcntl.h */
export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0x40,
  NOCTTY: 0x100,
  NONBLOCK: 0x800,
  CLOEXEC: 0x80000,
  PATH: 0x200000,
} as const;
/** Bits of its flags that mean more than reading: how it is accessed, and what changes it. */
export const O_ACCESS = { MASK: 0x3, CHANGES: 0x40 | 0x200 | 0x400000 } as const;
export const F_SETFD = 2;
export const F_SETFL = 4;
export const F_DUPFD_CLOEXEC = 1030;
export const F_SETPIPE_SZ = 1031;
/** splice(2): pages instead of copies where that can be, and no wait for the pipe. */
export const SPLICE_F = { MOVE: 1, NONBLOCK: 2 } as const;
/** memfd_create(2). */
export const MFD_CLOEXEC = 1;
/** Commands of fcntl(2) about descriptors and status flags. */
export const FCNTL = {
  DUPFD: 0,
  GETFD: 1,
  SETFD: F_SETFD,
  GETFL: 3,
  SETFL: F_SETFL,
  DUPFD_CLOEXEC: F_DUPFD_CLOEXEC,
} as const;
/** Its commands about record locks of a process. */
export const FCNTL_LOCK = { GETLK: 5, SETLK: 6, SETLKW: 7 } as const;
/** And about those of an open file description. */
export const FCNTL_OFD_LOCK = { GETLK: 36, SETLK: 37, SETLKW: 38 } as const;

/** include/uapi/linux/fcntl.h, include/uapi/linux/magic.h */
export const AT_REMOVEDIR = 0x200;
export const TMPFS_MAGIC = 0x01021994;

/** include/uapi/linux/stat.h */
export const S_IFCHR = 0x2000;

/** include/linux/socket.h */
export const AF = { UNIX: 1, INET: 2, INET6: 10, NETLINK: 16 } as const;
export const SOCK = { STREAM: 1, DGRAM: 2, RAW: 3, NONBLOCK: 0x800, CLOEXEC: 0x80000 } as const;
/** include/linux/socket.h, include/uapi/linux/in.h, tcp.h, in6.h: levels of options of sockets. */
export const SOL = { IP: 0, SOCKET: 1, TCP: 6, IPV6: 41 } as const;
/** include/uapi/asm-generic/socket.h: options of any socket (socket(7)). */
export const SO = {
  REUSEADDR: 2,
  TYPE: 3,
  ERROR: 4,
  BROADCAST: 6,
  SNDBUF: 7,
  RCVBUF: 8,
  KEEPALIVE: 9,
  OOBINLINE: 10,
  LINGER: 13,
  REUSEPORT: 15,
  PEERCRED: 17,
  RCVTIMEO: 20,
  SNDTIMEO: 21,
  ATTACH_FILTER: 26,
  ACCEPTCONN: 30,
  PROTOCOL: 38,
  DOMAIN: 39,
  PEERPIDFD: 77,
  PASSRIGHTS: 83,
} as const;
/** include/uapi/linux/tcp.h (tcp(7)) */
export const TCP = {
  NODELAY: 1,
  CORK: 3,
  KEEPIDLE: 4,
  KEEPINTVL: 5,
  KEEPCNT: 6,
  INFO: 11,
  QUICKACK: 12,
  USER_TIMEOUT: 18,
} as const;
/** include/uapi/linux/in.h (ip(7)) */
export const IP = {
  TOS: 1,
  TTL: 2,
  MTU_DISCOVER: 10,
  RECVERR: 11,
  MULTICAST_IF: 32,
  MULTICAST_TTL: 33,
  MULTICAST_LOOP: 34,
} as const;
/** include/uapi/linux/in6.h (ipv6(7)) */
export const IPV6 = {
  UNICAST_HOPS: 16,
  MULTICAST_IF: 17,
  MULTICAST_HOPS: 18,
  MULTICAST_LOOP: 19,
  MTU_DISCOVER: 23,
  RECVERR: 25,
  V6ONLY: 26,
  TCLASS: 67,
} as const;
/** include/linux/socket.h: passing descriptors (unix(7)), and who waits how for what. */
export const SCM_RIGHTS = 1;
export const MSG = { DONTWAIT: 0x40, NOSIGNAL: 0x4000, CMSG_CLOEXEC: 0x40000000 } as const;
/** include/uapi/linux/in.h; 0 is the one that a type of socket has by default. */
export const IPPROTO = { DEFAULT: 0, TCP: 6, UDP: 17 } as const;

/**
 * include/uapi/linux/netlink.h, include/uapi/linux/rtnetlink.h: messages that make routes
 * (rtnetlink(7)).
 */
export const NETLINK_ROUTE = 0;
export const NLM_F = { REQUEST: 0x1, ACK: 0x4, REPLACE: 0x100, CREATE: 0x400 } as const;
export const NLMSG_ERROR = 2;
export const RTM_NEWROUTE = 24;
export const RTA = { DST: 1, OIF: 4 } as const;
export const RTN = { LOCAL: 2, THROW: 9 } as const;
export const RT_TABLE_LOCAL = 255;
export const RT_SCOPE = { UNIVERSE: 0, HOST: 254 } as const;
export const RTPROT_STATIC = 4;
/** include/uapi/linux/sockios.h, include/uapi/linux/if.h */
export const SIOCSIFFLAGS = 0x8914;
export const IFF_UP = 0x1;

/** include/uapi/asm-generic/ioctls.h */
export const IOCTL = {
  TCGETS: 0x5401,
  TIOCGWINSZ: 0x5413,
  FIONREAD: 0x541b,
  FIONBIO: 0x5421,
  FIOCLEX: 0x5451,
} as const;
/** include/uapi/asm-generic/termbits.h: struct termios, with room to spare. */
export const TERMIOS = { bytes: 64, outputFlags: 4, OPOST: 1 } as const;
/**
 * Requests of shells, editors and other interactive programs to their terminal, without the one
 * that types for its user.
 */
export const TERMINAL_IOCTL = {
  TCSETS: 0x5402,
  TCSETSW: 0x5403,
  TCSETSF: 0x5404,
  TCSBRK: 0x5409,
  TCXONC: 0x540a,
  TCFLSH: 0x540b,
  TIOCSCTTY: 0x540e,
  TIOCGPGRP: 0x540f,
  TIOCSPGRP: 0x5410,
  TIOCOUTQ: 0x5411,
  TIOCSWINSZ: 0x5414,
  TIOCNOTTY: 0x5422,
  TIOCGSID: 0x5429,
  TCSBRKP: 0x5425,
  FIONCLEX: 0x5450,
  TIOCGPTN: 0x80045430,
  TIOCSPTLCK: 0x40045431,
  TIOCGPTPEER: 0x5441,
} as const;

/** include/uapi/asm-generic/resource.h */
export const RLIMIT = {
  FSIZE: 1,
  STACK: 3,
  CORE: 4,
  NPROC: 6,
  NOFILE: 7,
  MEMLOCK: 8,
  SIGPENDING: 11,
  MSGQUEUE: 12,
  NICE: 13,
  RTPRIO: 14,
} as const;

/** include/uapi/linux/seccomp.h */
export const SECCOMP_SET_MODE_FILTER = 1;
export const SECCOMP_FILTER_FLAG = { TSYNC: 1, TSYNC_ESRCH: 16 } as const;
export const SECCOMP_RET = { KILL_PROCESS: 0x80000000, ERRNO: 0x50000, ALLOW: 0x7fff0000 } as const;

/** include/uapi/linux/filter.h and bpf_common.h: the instructions that our filters use. */
export const BPF = {
  LD_W_ABS: 0x20,
  JMP_JA: 0x05,
  JMP_JEQ_K: 0x15,
  JMP_JGE_K: 0x35,
  ALU_AND_K: 0x54,
  RET_K: 0x06,
} as const;

/** include/uapi/linux/eventpoll.h, include/uapi/asm-generic/poll.h */
export const EPOLL = { CTL_ADD: 1, CTL_DEL: 2, IN: 1 } as const;
export const POLLIN = 1;
export const POLLOUT = 4;

/** include/uapi/asm-generic/signal.h, include/uapi/asm-generic/signal-defs.h */
export const SIGKILL = 9;
export const SIGCHLD = 17;
export const SIGCONT = 18;
export const SIGSTOP = 19;
export const SIG_DFL = 0;
export const SIG_IGN = 1;
export const SIG_BLOCK = 0;

/** include/uapi/linux/wait.h */
export const WNOHANG = 1;

/** include/uapi/linux/mount.h and fcntl.h: trees of mounts as descriptors */
export const OPEN_TREE = { CLONE: 0x1, CLOEXEC: 0x80000 } as const;
export const MOVE_MOUNT_F_EMPTY_PATH = 0x4;
export const AT_FDCWD = -100;

/** include/uapi/linux/openat2.h */
export const RESOLVE_IN_ROOT = 0x10;

/** <spawn.h> of the C library */
export const POSIX_SPAWN = { SETSIGDEF: 0x4, SETSIGMASK: 0x8, SETSID: 0x80 } as const;

/**
 * include/uapi/linux/landlock.h: rights over files and directories, and what else a ruleset may
 * close.
 */
export const LANDLOCK = {
  CREATE_RULESET_VERSION: 1,
  RULE_PATH_BENEATH: 1,
  RESTRICT_SELF_LOG_SAME_EXEC_OFF: 1,
  SCOPE_ABSTRACT_UNIX_SOCKET: 1,
  SCOPE_SIGNAL: 2,
} as const;
export const LANDLOCK_FS = {
  EXECUTE: 1 << 0,
  WRITE_FILE: 1 << 1,
  READ_FILE: 1 << 2,
  READ_DIR: 1 << 3,
  REMOVE_DIR: 1 << 4,
  REMOVE_FILE: 1 << 5,
  MAKE_CHAR: 1 << 6,
  MAKE_DIR: 1 << 7,
  MAKE_REG: 1 << 8,
  MAKE_SOCK: 1 << 9,
  MAKE_FIFO: 1 << 10,
  MAKE_BLOCK: 1 << 11,
  MAKE_SYM: 1 << 12,
  REFER: 1 << 13,
  TRUNCATE: 1 << 14,
  IOCTL_DEV: 1 << 15,
  RESOLVE_UNIX: 1 << 16,
} as const;
