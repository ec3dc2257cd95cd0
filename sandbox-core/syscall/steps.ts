/** Small things that take several system calls. */
import { AF, IFF_UP, O, POLLIN, PR, RLIMIT, SIOCSIFFLAGS, SOCK } from "../abi/linux.ts";
import { sys } from "./libc.ts";

const SIGKILL = 9;
const MEBIBYTE = 1024 * 1024;

/** Writes a short text to a file that exists. @throws SyscallError */
export function writeTo(path: string, text: string): void {
  const fd = sys.open(path, O.WRONLY | O.CLOEXEC);
  const bytes = Buffer.from(text);
  try {
    sys.write(fd, bytes, bytes.length);
  } finally {
    sys.close(fd);
  }
}

/**
 * Has the kernel kill the caller when its parent dies (PR_SET_PDEATHSIG), and makes sure that it has not died before:
 * `parentPidfd` is readable once its process is gone (pidfd_open(2)).
 * @throws Error when the parent is gone
 */
export function adviseParentDeath(parentPidfd: number): void {
  sys.prctl(PR.SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  const pollFd = Buffer.alloc(8);
  pollFd.writeInt32LE(parentPidfd, 0);
  pollFd.writeInt16LE(POLLIN, 4);
  if (sys.poll(pollFd, 1, 0) > 0) throw new Error("the zygote died");
}

/** A stream socket connected to `address`. @throws SyscallError */
export function connectTo(address: Buffer): number {
  const fd = sys.socket(AF.UNIX, SOCK.STREAM | SOCK.CLOEXEC, 0);
  sys.connect(fd, address, address.length);
  return fd;
}

/** Brings up `lo` of the caller's network namespace: struct ifreq of netdevice(7). @throws SyscallError */
export function setLoopbackUp(): void {
  const request = Buffer.alloc(40);
  request.write("lo", 0, "latin1");
  request.writeInt16LE(IFF_UP, 16);
  const fd = sys.socket(AF.INET, SOCK.DGRAM | SOCK.CLOEXEC, 0);
  sys.ioctl(fd, SIOCSIFFLAGS, request);
  sys.close(fd);
}

/**
 * setrlimit(2) for what no cgroup bounds. The number of processes is bounded by the pids controller; the limit here is
 * for the kernel's count by user, which is the sandbox's own.
 */
export function setResourceLimits(pids: number): void {
  const limits: [resource: number, most: number][] = [
    [RLIMIT.CORE, 0],
    [RLIMIT.NOFILE, 1024],
    [RLIMIT.FSIZE, 1024 * MEBIBYTE],
    [RLIMIT.NPROC, pids],
    [RLIMIT.STACK, 8 * MEBIBYTE],
    [RLIMIT.MEMLOCK, 0],
    [RLIMIT.MSGQUEUE, 0],
    [RLIMIT.SIGPENDING, 256],
    [RLIMIT.NICE, 0],
    [RLIMIT.RTPRIO, 0],
  ];
  for (const [resource, most] of limits) {
    const limit = Buffer.alloc(16);
    limit.writeBigUInt64LE(BigInt(most), 0);
    limit.writeBigUInt64LE(BigInt(most), 8);
    sys.setrlimit(resource, limit);
  }
}
