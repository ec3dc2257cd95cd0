/**
 * Passing open descriptors over a unix socket: sendmsg(2) and recvmsg(2) with SCM_RIGHTS (unix(7),
 * cmsg(3)).
 */
import koffi from "koffi";
import { MSG, SCM_RIGHTS, SOL } from "../abi/linux.ts";
import { SyscallError } from "./error.ts";

const libc = koffi.load("libc.so.6");

const vector = koffi.struct({ base: "void *", length: "size_t" });
const header = koffi.struct({
  name: "void *",
  nameLength: "uint32_t",
  vectors: koffi.pointer(vector),
  vectorCount: "size_t",
  control: "void *",
  controlLength: "size_t",
  flags: "int",
});
type Call = (fd: number, message: object, flags: number) => number;
const rawSend = libc.func("sendmsg", "long", ["int", koffi.pointer(header), "int"]) as Call;
const rawReceive = libc.func("recvmsg", "long", ["int", koffi.pointer(header), "int"]) as Call;

/** struct cmsghdr: its length, level and type; the descriptors follow, four bytes each. */
const HEADER_BYTES = 16;

/**
 * Sends bytes and descriptors in one message, without waiting.
 * @throws SyscallError, EAGAIN when the other end has too much to read already
 */
export function sendDescriptors(socket: number, bytes: Buffer, descriptors: readonly number[]): void {
  const control = controlFor(descriptors.length);
  control.writeBigUInt64LE(BigInt(control.length), 0);
  control.writeInt32LE(SOL.SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  for (const [index, fd] of descriptors.entries()) control.writeInt32LE(fd, HEADER_BYTES + index * 4);
  const sent = rawSend(socket, messageOf(bytes, control), MSG.DONTWAIT | MSG.NOSIGNAL);
  if (sent === -1) throw new SyscallError("sendmsg", koffi.errno(), String(socket));
  if (sent !== bytes.length) throw new Error(`a message of ${bytes.length} bytes was sent in part: ${sent}`);
}

/**
 * Receives exactly these bytes' length, and the descriptors that come with them, at most so many,
 * close-on-exec; null when the other end is closed.
 * @throws SyscallError, or Error when something else comes
 */
export function receiveDescriptors(socket: number, bytes: Buffer, most: number): number[] | null {
  const control = controlFor(most);
  const received = rawReceive(socket, messageOf(bytes, control), MSG.CMSG_CLOEXEC);
  if (received === -1) throw new SyscallError("recvmsg", koffi.errno(), String(socket));
  if (received === 0) return null;
  if (received !== bytes.length) throw new Error(`a message of ${received} bytes instead of ${bytes.length}`);
  // The kernel left it as it was when nothing came.
  const filled = Number(control.readBigUInt64LE(0));
  if (filled === 0) return [];
  if (control.readInt32LE(12) !== SCM_RIGHTS) throw new Error("a message with something else than descriptors");
  const count = (filled - HEADER_BYTES) / 4;
  return Array.from({ length: count }, (_, index) => control.readInt32LE(HEADER_BYTES + index * 4));
}

/** Room for so many descriptors. */
function controlFor(count: number): Buffer {
  return Buffer.alloc(HEADER_BYTES + count * 4);
}

function messageOf(bytes: Buffer, control: Buffer): object {
  return {
    name: null,
    nameLength: 0,
    vectors: { base: bytes, length: bytes.length },
    vectorCount: 1,
    control,
    controlLength: control.length,
    flags: 0,
  };
}
