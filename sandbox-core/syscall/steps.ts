/** Small things that take several system calls. */
import { currentArchitecture } from "../abi/arch.ts";
import {
  AF,
  F_DUPFD_CLOEXEC,
  F_SETFL,
  FCNTL,
  IFF_UP,
  IOCTL,
  O,
  POLLIN,
  POLLOUT,
  PR,
  RLIMIT,
  SIGKILL,
  SIOCSIFFLAGS,
  SO,
  SOCK,
  SOL,
  TERMINAL_IOCTL,
  TERMIOS,
} from "../abi/linux.ts";
import { SyscallError } from "./error.ts";
import { sys } from "./libc.ts";

const MEBIBYTE = 1024 * 1024;

/** Writes a short text to a file that exists. @throws SyscallError */
export function writeTo(path: string, text: string): void {
  writeAndClose(sys.open(path, O.WRONLY | O.CLOEXEC), text);
}

/** The same with a path inside an open directory. */
export function writeInside(directory: number, path: string, text: string): void {
  writeAndClose(sys.openInRoot(directory, path, O.WRONLY | O.CLOEXEC), text);
}

function writeAndClose(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  try {
    sys.write(fd, bytes, bytes.length);
  } finally {
    sys.close(fd);
  }
}

/**
 * Has the kernel kill the caller when its parent dies (PR_SET_PDEATHSIG), and makes sure that it
 * has not died before: `parentPidfd` is readable once its process is gone (pidfd_open(2)).
 * @throws Error when the parent is gone
 */
export function adviseParentDeath(parentPidfd: number): void {
  sys.prctl(PR.SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (isReadable(parentPidfd, 0)) throw new Error("the zygote died");
}

/**
 * Whether something can be read from a descriptor, or can within `timeoutMs`; for a pidfd: whether
 * its process ended (pidfd_open(2)).
 * @throws SyscallError
 */
export function isReadable(fd: number, timeoutMs: number): boolean {
  return isReadyFor(POLLIN, fd, timeoutMs);
}

/**
 * Whether a descriptor can be written to, or can within `timeoutMs`: a socket, once it is
 * connected.
 * @throws SyscallError
 */
export function isWritable(fd: number, timeoutMs: number): boolean {
  return isReadyFor(POLLOUT, fd, timeoutMs);
}

/**
 * Whether nobody is left at the other end of a connection, or the descriptor is closed.
 * @throws SyscallError
 */
export function isHungUp(fd: number): boolean {
  // Both are told without being asked for (poll(2)). A negative number would be passed over.
  return fd < 0 || isReadyFor(0, fd, 0);
}

function isReadyFor(events: number, fd: number, timeoutMs: number): boolean {
  const pollFd = Buffer.alloc(8);
  pollFd.writeInt32LE(fd, 0);
  pollFd.writeInt16LE(events, 4);
  return sys.poll(pollFd, 1, timeoutMs) > 0;
}

const CLOSE_RANGE = currentArchitecture().syscalls.close_range as number;
const PIDFD_GETFD = currentArchitecture().syscalls.pidfd_getfd as number;
const LAST_FD = 0xffff_ffff;

/** close_range(2) over the gaps between the descriptors that stay. */
export function closeAllBut(kept: readonly number[]): void {
  const edges = [-1, ...[...kept].sort((a, b) => a - b), LAST_FD + 1];
  edges.slice(1).forEach((to, index) => {
    const from = (edges[index] as number) + 1;
    if (from < to) sys.syscall("close_range", CLOSE_RANGE, from, to - 1, 0);
  });
}

/**
 * A copy of a descriptor of another process, close-on-exec (pidfd_getfd(2)); root may.
 * @throws SyscallError
 */
export function takeDescriptor(pidfd: number, fd: number): number {
  return sys.syscall("pidfd_getfd", PIDFD_GETFD, pidfd, fd, 0);
}

/** Another descriptor of the same file, close-on-exec. @throws SyscallError */
export function duplicate(fd: number): number {
  return sys.fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/**
 * Has reads and writes of a descriptor, and of its copies, fail with EAGAIN where they would wait
 * (O_NONBLOCK).
 * @throws SyscallError
 */
export function neverWait(fd: number): void {
  sys.fcntl(fd, F_SETFL, sys.fcntl(fd, FCNTL.GETFL, 0) | O.NONBLOCK);
}

/** A pipe, both ends close-on-exec. @throws SyscallError */
export function makePipe(): { read: number; write: number } {
  const ends = Buffer.alloc(8);
  sys.pipe2(ends, O.CLOEXEC);
  return { read: ends.readInt32LE(0), write: ends.readInt32LE(4) };
}

/**
 * Tells a terminal its size (TIOCSWINSZ(2const)), and so whoever is in its foreground.
 * @throws SyscallError
 */
export function setWindowSize(fd: number, { columns, rows }: { columns: number; rows: number }): void {
  const size = Buffer.alloc(8);
  size.writeUInt16LE(rows, 0);
  size.writeUInt16LE(columns, 2);
  sys.ioctl(fd, TERMINAL_IOCTL.TIOCSWINSZ, size);
}

/**
 * Has a terminal show bytes as they come, without making CR and LF out of LF (termios(3), OPOST),
 * which Node's raw mode leaves on.
 * @throws SyscallError
 */
export function showAsIs(fd: number): void {
  const termios = Buffer.alloc(TERMIOS.bytes);
  sys.ioctl(fd, IOCTL.TCGETS, termios);
  termios.writeUInt32LE((termios.readUInt32LE(TERMIOS.outputFlags) & ~TERMIOS.OPOST) >>> 0, TERMIOS.outputFlags);
  sys.ioctl(fd, TERMINAL_IOCTL.TCSETS, termios);
}

/** A stream socket connected to `address`. @throws SyscallError */
export function connectTo(address: Buffer): number {
  const fd = sys.socket(AF.UNIX, SOCK.STREAM | SOCK.CLOEXEC, 0);
  sys.connect(fd, address, address.length);
  return fd;
}

/** An int of 0, as options of sockets have it. */
const OFF = Buffer.alloc(4);

/**
 * Has the kernel refuse every descriptor that is sent towards this unix socket, or towards a
 * connection that a listening one gets: its sender meets EPERM (SO_PASSRIGHTS, Linux 6.16). A
 * descriptor that is queued is closed by whoever reads, in its thread, with all that its close
 * waits for. False on a kernel that has no such option: there it is the filter that leaves nothing
 * whose close waits (seccomp/socket-options.ts).
 * @throws SyscallError
 */
export function refuseDescriptors(socket: number): boolean {
  try {
    sys.setsockopt(socket, SOL.SOCKET, SO.PASSRIGHTS, OFF, OFF.length);
    return true;
  } catch (error) {
    if (error instanceof SyscallError && error.code === "ENOPROTOOPT") return false;
    throw error;
  }
}

/**
 * Has the kernel look for descriptors that only wait in sockets which wait in one another. Nobody
 * has them any more, and they stay until a unix socket is closed somewhere (unix(7); unix_gc,
 * net/unix/garbage.c): what they lead to does not end before.
 * @throws SyscallError
 */
export function collectDescriptors(): void {
  for (const fd of sys.socketpair()) sys.close(fd);
}

/** Whether this kernel can refuse descriptors. @throws SyscallError */
export function canRefuseDescriptors(): boolean {
  const pair = sys.socketpair();
  try {
    return refuseDescriptors(pair[0]);
  } finally {
    for (const fd of pair) sys.close(fd);
  }
}

// The buffers below are made once, before any fork: memory that a fork has to make is its own page
// faults.

/** struct ifreq of netdevice(7): `lo`, up. */
const LOOPBACK_UP = Buffer.alloc(40);
LOOPBACK_UP.write("lo", 0, "latin1");
LOOPBACK_UP.writeInt16LE(IFF_UP, 16);

/** Brings up `lo` of the caller's network namespace. @throws SyscallError */
export function setLoopbackUp(): void {
  const fd = sys.socket(AF.INET, SOCK.DGRAM | SOCK.CLOEXEC, 0);
  sys.ioctl(fd, SIOCSIFFLAGS, LOOPBACK_UP);
  sys.close(fd);
}

/** Resources and their limits, for what no cgroup bounds. */
const LIMITS: [resource: number, limit: Buffer][] = [
  [RLIMIT.NOFILE, rlimit(1024)],
  [RLIMIT.FSIZE, rlimit(1024 * MEBIBYTE)],
  [RLIMIT.STACK, rlimit(8 * MEBIBYTE)],
  [RLIMIT.MEMLOCK, rlimit(0)],
  [RLIMIT.MSGQUEUE, rlimit(0)],
  [RLIMIT.SIGPENDING, rlimit(256)],
  [RLIMIT.NICE, rlimit(0)],
  [RLIMIT.RTPRIO, rlimit(0)],
];

/**
 * A fork cannot be dumped, whatever its limit (PR_SET_DUMPABLE). A program can be again, execve(2)
 * sees to that, and where core_pattern names a program, the kernel runs that as the host's root
 * with what a sandbox left in its memory, and does not look at the limit. One byte is the
 * exception: it is too little for a file, and for the kernel the sign of a handler that crashed
 * itself, so that none is started (core(5); do_coredump, fs/coredump.c).
 */
const CORE = { fork: rlimit(0), program: rlimit(1) };

/**
 * setrlimit(2). The number of processes is bounded by the pids controller; the limit of `tasks`
 * here is for the kernel's count by user, which is the sandbox's own.
 */
export function setResourceLimits(tasks: number, kind: keyof typeof CORE): void {
  sys.setrlimit(RLIMIT.CORE, CORE[kind]);
  for (const [resource, limit] of LIMITS) sys.setrlimit(resource, limit);
  sys.setrlimit(RLIMIT.NPROC, rlimit(tasks));
}

/** struct rlimit with both limits the same. */
function rlimit(most: number): Buffer {
  const limit = Buffer.alloc(16);
  limit.writeBigUInt64LE(BigInt(most), 0);
  limit.writeBigUInt64LE(BigInt(most), 8);
  return limit;
}
