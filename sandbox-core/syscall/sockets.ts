/** Sockets: the part of `sys` that makes and connects them, and sends descriptors over them. */
import koffi from "koffi";
import { AF, MSG, SOCK } from "../abi/linux.ts";
import { checked } from "./checked.ts";
import { receiveDescriptors, sendDescriptors } from "./rights.ts";

const libc = koffi.load("libc.so.6");

const rawSocketpair = checked(
  "socketpair",
  libc.func("int socketpair(int domain, int type, int protocol, void *fds)") as (
    domain: number,
    type: number,
    protocol: number,
    fds: Buffer,
  ) => number,
);

const rawSend = libc.func("long send(int fd, const void *bytes, size_t length, int flags)") as (
  fd: number,
  bytes: Buffer,
  length: number,
  flags: number,
) => number;

export const socketCalls = {
  socket: checked(
    "socket",
    libc.func("int socket(int domain, int type, int protocol)") as (...args: [number, number, number]) => number,
  ),
  setsockopt: checked(
    "setsockopt",
    libc.func("int setsockopt(int fd, int level, int option, const void *value, unsigned int length)") as (
      ...args: [number, number, number, Buffer, number]
    ) => number,
    (fd, level, option) => `${fd}, ${level}, ${option}`,
  ),
  getsockopt: checked(
    "getsockopt",
    libc.func("int getsockopt(int fd, int level, int option, void *value, void *length)") as (
      ...args: [number, number, number, Buffer, Buffer]
    ) => number,
    (fd, level, option) => `${fd}, ${level}, ${option}`,
  ),
  getpeername: checked(
    "getpeername",
    libc.func("int getpeername(int fd, void *address, void *length)") as (...args: [number, Buffer, Buffer]) => number,
  ),
  /** Sends what the other end has room for now, perhaps nothing; gives how many bytes (send(2)). */
  sendNow: (fd: number, bytes: Buffer, length: number): number =>
    Math.max(0, rawSend(fd, bytes, length, MSG.DONTWAIT | MSG.NOSIGNAL)),
  /** socketpair(2): two connected stream sockets. */
  socketpair: (): [number, number] => {
    const fds = Buffer.alloc(8);
    rawSocketpair(AF.UNIX, SOCK.STREAM | SOCK.CLOEXEC, 0, fds);
    return [fds.readInt32LE(0), fds.readInt32LE(4)];
  },
  connect: checked(
    "connect",
    libc.func("int connect(int fd, const void *address, unsigned int length)") as (
      fd: number,
      address: Buffer,
      length: number,
    ) => number,
  ),
  bind: checked(
    "bind",
    libc.func("int bind(int fd, const void *address, unsigned int length)") as (
      fd: number,
      address: Buffer,
      length: number,
    ) => number,
  ),
  listen: checked("listen", libc.func("int listen(int fd, int backlog)") as (fd: number, backlog: number) => number),
  /** Descriptors through a unix socket (unix(7), SCM_RIGHTS). */
  sendDescriptors,
  receiveDescriptors,
};

/** A sockaddr_in (ip(7)) of an address as four bytes and a port. */
export function internetAddress(address: Uint8Array, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF.INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address, 4);
  return bytes;
}

/**
 * A sockaddr_un for a path, or for an abstract name that starts with "\0" (unix(7)). Throws
 * RangeError over 107 bytes.
 */
export function unixAddress(path: string): Buffer {
  const name = Buffer.from(path);
  if (name.length > 107) throw new RangeError(`unix socket path of ${name.length} bytes, at most 107: ${path}`);
  const abstract = path.startsWith("\0");
  const address = Buffer.alloc(2 + name.length + (abstract ? 0 : 1));
  address.writeUInt16LE(1, 0);
  name.copy(address, 2);
  return address;
}
