/**
 * Bulk past this process: bytes of one socket go to another through a pipe of the kernel's, and are
 * copied into no memory of the relay's (splice(2)). One pipe does for all connections. It is empty
 * whenever another one may have its turn: what the other side does not take comes out as a buffer.
 * The pipe is made when this is loaded, before the relay locks itself in.
 */
import { F_SETPIPE_SZ, O } from "../abi/linux.ts";
import { SyscallError } from "../syscall/error.ts";
import { sys } from "../syscall/libc.ts";

/** Most bytes at once, and so the most that comes out when the other side takes none. */
const MOST_SPLICED_BYTES = 131_072;
/** A slot of a page for each piece: what comes out of a network is in small ones. */
const PIPE_BYTES = 1_048_576;

/** Errors of a kernel or a filter that has no splice(2) for sockets. */
const NO_SPLICE = new Set(["EINVAL", "ENOSYS", "EPERM"]);

export interface Spliced {
  count: number;
  left?: Buffer;
}
const NOTHING: Spliced = { count: 0 };

/** The two ends; null where there is no such pipe, and none is used. */
let pipe: { read: number; write: number } | null = makeKernelPipe();

/**
 * Passes bytes of one TCP socket to another, once.
 * @param mayPass told of bytes before; false when they are to go nowhere
 * @returns how many came, none where this cannot be done, and which of them the other side did not
 * take
 * @throws SyscallError when the first socket is broken, which no read tells again
 */
export function spliceOnce(from: number, to: number, mayPass: (bytes: number) => boolean): Spliced {
  const count = pipe === null ? 0 : fill(pipe.write, from);
  if (pipe === null || count === 0) return NOTHING;
  if (!mayPass(count)) {
    takeOut(pipe.read, count);
    return NOTHING;
  }
  const left = count - empty(pipe.read, to, count);
  return left === 0 ? { count } : { count, left: takeOut(pipe.read, left) };
}

function fill(write: number, from: number): number {
  try {
    return Math.max(0, sys.spliceNow(from, write, MOST_SPLICED_BYTES));
  } catch (error) {
    if (!(error instanceof SyscallError && NO_SPLICE.has(error.code))) throw error;
    close();
    return 0;
  }
}

/** How many bytes went out. */
function empty(read: number, to: number, count: number): number {
  let sent = 0;
  try {
    while (sent < count) {
      const more = sys.spliceNow(read, to, count - sent);
      if (more <= 0) break;
      sent += more;
    }
  } catch {
    // Whatever is wrong with the other side, writing to it meets that as well.
  }
  return sent;
}

/** All that is left in it. @throws Error when that is not so much, and then the relay must end */
function takeOut(read: number, count: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(count);
  for (let have = 0; have < count; ) {
    const more = sys.read(read, bytes.subarray(have), count - have);
    if (more === 0) throw new Error("bytes of a connection are missing in the pipe");
    have += more;
  }
  return bytes;
}

function makeKernelPipe(): { read: number; write: number } | null {
  const ends = Buffer.alloc(8);
  try {
    sys.pipe2(ends, O.CLOEXEC | O.NONBLOCK);
  } catch {
    return null;
  }
  const [read, write] = [ends.readInt32LE(0), ends.readInt32LE(4)];
  try {
    sys.fcntl(write, F_SETPIPE_SZ, PIPE_BYTES);
  } catch {
    // A user of many pipes gets no larger one, which is slower and no worse.
  }
  return { read, write };
}

function close(): void {
  if (pipe === null) return;
  sys.close(pipe.read);
  sys.close(pipe.write);
  pipe = null;
}
