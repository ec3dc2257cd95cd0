/** Files and descriptors: the part of `sys` that opens, reads, writes and waits for them. */
import { constants } from "node:os";
import koffi from "koffi";
import { SPLICE_F } from "../abi/linux.ts";
import { checked, first, firstTwo } from "./checked.ts";
import { SyscallError } from "./error.ts";
import { openInRoot } from "./openat2.ts";

const { EAGAIN } = constants.errno;
const libc = koffi.load("libc.so.6");

/** read(2), write(2) and their kind. */
type BytesCall = (fd: number, bytes: Buffer, count: number) => number;

type RawSplice = (from: number, fromAt: null, to: number, toAt: null, count: number, flags: number) => number;
const rawSplice = libc.func(
  "long splice(int from, void *fromAt, int to, void *toAt, size_t count, unsigned int flags)",
) as RawSplice;

export const fileCalls = {
  open: checked(
    "open",
    libc.func("int open(const char *path, int flags)") as (path: string, flags: number) => number,
    first,
  ),
  close: checked("close", libc.func("int close(int fd)") as (fd: number) => number, first),
  /** Opens a path inside a directory as if that were the root (openat2(2)). */
  openInRoot,
  read: checked("read", libc.func("long read(int fd, void *buffer, size_t count)") as BytesCall, first),
  write: checked("write", libc.func("long write(int fd, const void *buffer, size_t count)") as BytesCall, first),
  dup2: checked("dup2", libc.func("int dup2(int from, int to)") as (from: number, to: number) => number, firstTwo),
  fcntl: checked(
    "fcntl",
    libc.func("int fcntl(int fd, int command, long argument)") as (...args: [number, number, number]) => number,
    firstTwo,
  ),
  pipe2: checked("pipe2", libc.func("int pipe2(void *fds, int flags)") as (fds: Buffer, flags: number) => number),
  /**
   * Moves bytes between a pipe and a descriptor without waiting (splice(2)): how many, 0 at the
   * end, -1 when none can be moved now. @throws SyscallError
   */
  spliceNow: (from: number, to: number, count: number): number => {
    const moved = rawSplice(from, null, to, null, count, SPLICE_F.MOVE | SPLICE_F.NONBLOCK);
    if (moved !== -1) return moved;
    const errno = koffi.errno();
    if (errno === EAGAIN) return -1;
    throw new SyscallError("splice", errno, `${from}, ${to}`);
  },
  ioctl: checked(
    "ioctl",
    libc.func("int ioctl(int fd, unsigned long request, void *argument)") as (
      fd: number,
      request: number,
      argument: Buffer,
    ) => number,
    firstTwo,
  ),
  memfdCreate: checked(
    "memfd_create",
    libc.func("int memfd_create(const char *name, unsigned int flags)") as (name: string, flags: number) => number,
  ),
  mknod: checked(
    "mknod",
    libc.func("int mknod(const char *path, unsigned int mode, unsigned long device)") as (
      path: string,
      mode: number,
      device: number,
    ) => number,
    first,
  ),
  chmod: checked(
    "chmod",
    libc.func("int chmod(const char *path, unsigned int mode)") as (path: string, mode: number) => number,
    first,
  ),
  chdir: checked("chdir", libc.func("int chdir(const char *path)") as (path: string) => number, first),
  poll: checked(
    "poll",
    libc.func("int poll(void *fds, unsigned long count, int timeout)") as (
      fds: Buffer,
      count: number,
      timeoutMs: number,
    ) => number,
  ),
  epollCreate: checked("epoll_create1", libc.func("int epoll_create1(int flags)") as (flags: number) => number),
  epollControl: checked(
    "epoll_ctl",
    libc.func("int epoll_ctl(int epoll, int operation, int fd, void *event)") as (
      epoll: number,
      operation: number,
      fd: number,
      event: Buffer | null,
    ) => number,
  ),
  epollWait: checked(
    "epoll_wait",
    libc.func("int epoll_wait(int epoll, void *events, int most, int timeout)") as (
      epoll: number,
      events: Buffer,
      most: number,
      timeoutMs: number,
    ) => number,
  ),
};
