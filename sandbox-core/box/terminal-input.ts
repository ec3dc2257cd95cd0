/**
 * What is typed into a box's terminal. The box decides when it reads, and may never do so: a
 * terminal takes some kilobytes, and then a write waits. Node's own streams over terminals wait for
 * it in the main thread, where no deadline would be kept any more. So the descriptor is one that
 * never waits, and what it does not take is tried again.
 */
import { close, writeSync } from "node:fs";
import { Writable } from "node:stream";

const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;

export class TerminalInput extends Writable {
  readonly #fd: number;
  #retry: NodeJS.Timeout | undefined;

  /** Takes the descriptor for its own; its file must have O_NONBLOCK. */
  constructor(fd: number) {
    super();
    this.#fd = fd;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#type(chunk, FIRST_PAUSE_MS, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#retry);
    close(this.#fd, () => done(error));
  }

  #type(rest: Buffer, pauseMs: number, done: (error?: Error | null) => void): void {
    let taken = 0;
    try {
      taken = writeSync(this.#fd, rest);
    } catch (error) {
      // EIO is how a terminal says that nobody has the other side open any more.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return void done(error as Error);
    }
    if (taken === rest.length) return void done();
    const nextMs = taken > 0 ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    this.#retry = setTimeout(() => this.#type(rest.subarray(taken), nextMs, done), nextMs);
  }
}
