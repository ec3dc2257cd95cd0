/**
 * Attempts from inside a sandbox, and how the kernel must answer each: data. The attempts
 * themselves are in probe.ts, which runs in the sandbox; whoever judges them sits outside and reads
 * this table. Each is harmless when it succeeds.
 */

interface Attempt {
  /** The wall, by its name in attest/walls.ts, that it tries. */
  wall: string;
  /** The error that the kernel must answer with; null where attest/walls.ts judges it. */
  expected: string | null;
  /** Left out where programs are started, whose filter has to allow it. */
  forksOnly?: true;
}

export const ATTEMPTS = {
  "read /etc/shadow": { wall: "root", expected: "ENOENT" },
  "look into /sys": { wall: "root", expected: "ENOENT" },
  "make a file in /": { wall: "root", expected: "EROFS" },
  "make a file in /etc": { wall: "root", expected: "EROFS" },
  "look at process 2": { wall: "pid-namespace", expected: "ENOENT" },
  "signal process 2": { wall: "pid-namespace", expected: "ESRCH" },
  "look into /proc/sys": { wall: "proc", expected: "ENOENT" },
  "open /proc/kcore": { wall: "proc", expected: "ENOENT" },
  "count the machine's sockets": { wall: "proc", expected: "EACCES" },
  "read the names of sockets": { wall: "proc", expected: "EACCES" },
  "have one connection more wait": { wall: "socket-memory", expected: "ENOTCONN" },
  "have a large buffer before it is accepted": { wall: "socket-memory", expected: "ENOBUFS" },
  "send a descriptor to the worker": { wall: "descriptors", expected: null },
  "connect to another network": { wall: "network-namespace", expected: "ENETUNREACH" },
  "connect to an abstract socket of the zygote's": { wall: "network-namespace", expected: "ECONNREFUSED" },
  "become root": { wall: "user", expected: "EPERM" },
  mount: { wall: "mount-namespace", expected: "EPERM" },
  "use a device's ioctl": { wall: "landlock", expected: null },
  "move a file to another directory": { wall: "landlock", expected: null },
  unshare: { wall: "seccomp", expected: "EPERM" },
  "trace a process": { wall: "seccomp", expected: "EPERM" },
  "use a keyring": { wall: "seccomp", expected: "EPERM" },
  "make a ring of io_uring": { wall: "seccomp", expected: "EPERM" },
  "change the execution domain": { wall: "seccomp", expected: "EPERM" },
  "have a close linger": { wall: "seccomp", expected: "EINVAL" },
  "attach a filter to a socket": { wall: "seccomp", expected: "EPERM" },
  "have a descriptor of the worker's process": { wall: "seccomp", expected: "EPERM" },
  "make a netlink socket": { wall: "seccomp", expected: "EPERM" },
  "call clone3": { wall: "seccomp", expected: "ENOSYS" },
  "make a file in memory": { wall: "seccomp", expected: "EPERM", forksOnly: true },
  "start a program": { wall: "seccomp", expected: "EPERM", forksOnly: true },
  // The rest is tried once there is egress to one address and port.
  "connect to a declared address": { wall: "egress", expected: "succeeded" },
  "connect to it at another port": { wall: "egress", expected: "ECONNREFUSED" },
  "connect to an address beside it": { wall: "egress", expected: "ENETUNREACH" },
  "listen at a declared port": { wall: "egress", expected: "EADDRINUSE" },
} as const satisfies Record<string, Attempt>;

/** The host that is declared then: an address of TEST-NET-3 (RFC 5737), which nobody has. */
export const ATTESTED_EGRESS = { address: "203.0.113.1", port: 5_432 };

export type AttemptName = keyof typeof ATTEMPTS;

/** The report of an attempt that the kernel did not refuse. */
export const SUCCEEDED = "succeeded";

export function attempt(name: AttemptName): Attempt {
  return ATTEMPTS[name];
}
