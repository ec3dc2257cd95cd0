/**
 * Passing open descriptors over a unix socket: sendmsg(2) and recvmsg(2) with SCM_RIGHTS (unix(7),
 * cmsg(3)). A message lies in one block of memory that is made once: structures that koffi builds
 * out of objects take a fork ten times as long.
 */
import koffi from "koffi";
import { MSG, SCM_RIGHTS, SOL } from "../abi/linux.ts";
import { SyscallError } from "./error.ts";

const libc = koffi.load("libc.so.6");

type Call = (fd: number, message: Buffer, flags: number) => number;
const rawSend = libc.func("long sendmsg(int fd, const void *message, int flags)") as Call;
const rawReceive = libc.func("long recvmsg(int fd, void *message, int flags)") as Call;

/** struct msghdr: where its fields are. */
const MESSAGE = { vectors: 16, vectorCount: 24, control: 32, controlLength: 40, flags: 48 } as const;
/** A struct iovec follows, then a struct cmsghdr with descriptors of four bytes each. */
const [VECTOR, CONTROL, HEADER_BYTES] = [56, 72, 16] as const;
/** Most descriptors that the kernel takes in one message (SCM_MAX_FD). */
const MOST_DESCRIPTORS = 253;
const BYTES = 1_104;
const BLOCK_BYTES = 4_096;

// An ArrayBuffer of its own: a small Buffer could be moved while the kernel's pointers are to it.
const block = Buffer.from(new ArrayBuffer(BLOCK_BYTES));
const at = koffi.address(block);
block.writeBigUInt64LE(at + BigInt(VECTOR), MESSAGE.vectors);
block.writeBigUInt64LE(1n, MESSAGE.vectorCount);
block.writeBigUInt64LE(at + BigInt(CONTROL), MESSAGE.control);
block.writeBigUInt64LE(at + BigInt(BYTES), VECTOR);

/**
 * Sends bytes and descriptors in one message, without waiting.
 * @throws SyscallError, EAGAIN when the other end has too much to read already
 */
export function sendDescriptors(socket: number, bytes: Buffer, descriptors: readonly number[]): void {
  prepare(bytes.length, descriptors.length);
  block.set(bytes, BYTES);
  block.writeUInt32LE(HEADER_BYTES + descriptors.length * 4, CONTROL);
  block.writeInt32LE(SOL.SOCKET, CONTROL + 8);
  block.writeInt32LE(SCM_RIGHTS, CONTROL + 12);
  let to = CONTROL + HEADER_BYTES;
  for (const fd of descriptors) to = block.writeInt32LE(fd, to);
  const sent = rawSend(socket, block, MSG.DONTWAIT | MSG.NOSIGNAL);
  if (sent === -1) throw new SyscallError("sendmsg", koffi.errno(), String(socket));
  if (sent !== bytes.length) throw new Error(`a message of ${bytes.length} bytes was sent in part: ${sent}`);
}

/**
 * Receives exactly these bytes' length, and the descriptors that come with them, at most so many,
 * close-on-exec; null when the other end is closed.
 * @throws SyscallError, or Error when something else comes
 */
export function receiveDescriptors(socket: number, bytes: Buffer, most: number): number[] | null {
  prepare(bytes.length, most);
  block.writeUInt32LE(0, CONTROL);
  const received = rawReceive(socket, block, MSG.CMSG_CLOEXEC);
  if (received === -1) throw new SyscallError("recvmsg", koffi.errno(), String(socket));
  if (received === 0) return null;
  if (received !== bytes.length) throw new Error(`a message of ${received} bytes instead of ${bytes.length}`);
  block.copy(bytes, 0, BYTES, BYTES + received);
  // The kernel left it as it was when nothing came.
  const filled = block.readUInt32LE(CONTROL);
  if (filled === 0) return [];
  if (block.readInt32LE(CONTROL + 12) !== SCM_RIGHTS) throw new Error("a message with something else than descriptors");
  const count = (filled - HEADER_BYTES) / 4;
  return Array.from({ length: count }, (_, index) => block.readInt32LE(CONTROL + HEADER_BYTES + index * 4));
}

/** Room for so many bytes and descriptors. @throws RangeError when there is not so much */
function prepare(bytes: number, descriptors: number): void {
  if (bytes > BLOCK_BYTES - BYTES || descriptors > MOST_DESCRIPTORS)
    throw new RangeError(`a message of ${bytes} bytes and ${descriptors} descriptors is too long`);
  block.writeUInt32LE(bytes, VECTOR + 8);
  block.writeUInt32LE(HEADER_BYTES + descriptors * 4, MESSAGE.controlLength);
  block.writeInt32LE(0, MESSAGE.flags);
}
