/** A zygote's messages as lines of JSON, each written in blocking calls. */
import { sys } from "./libc.ts";

const USUAL_BYTES = 65_536;
// Made once, before any fork, and written over by each line. A buffer for each would be garbage
// that stays in the zygote, and in every fork, until V8 collects the whole heap, which nothing in a
// zygote gives it a reason for.
const buffer = Buffer.alloc(USUAL_BYTES);

/**
 * Writes all of it; in one call, and so whole, if it is less than PIPE_BUF bytes (pipe(7)).
 * @throws SyscallError
 */
export function writeLine(descriptor: number, message: unknown): void {
  const text = `${JSON.stringify(message)}\n`;
  const bytes = Buffer.byteLength(text);
  const line = bytes <= USUAL_BYTES ? buffer.subarray(0, buffer.write(text)) : Buffer.from(text);
  for (let sent = 0; sent < bytes; ) sent += sys.write(descriptor, line.subarray(sent), bytes - sent);
}
