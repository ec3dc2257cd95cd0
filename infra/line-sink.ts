/**
 * Writes lines to a descriptor that somebody else reads, and waits for nobody. Node writes to pipes
 * and terminals in one go (`process.stderr`, "A note on process I/O"): a reader that stops, as a
 * log collector that hangs or a terminal after Ctrl-S, stops the whole process with it, and a
 * reader that left ends it by EPIPE.
 */
import { constants, fstatSync, openSync, writeSync } from "node:fs";
import { isatty } from "node:tty";
import { MIB } from "./std/bytes.ts";

/** Most bytes that wait for a reader; lines beyond are lost, and counted. */
const MAX_WAITING_BYTES = MIB;
const RETRY_MS = 50;

export class LineSink {
  readonly #write: (bytes: Buffer) => number;
  readonly #onLost: (lines: number) => void;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #retry: NodeJS.Timeout | null = null;

  /**
   * @param fd stays open as long as the process.
   * @param onLost told how many lines were lost, once there is a reader again.
   */
  constructor(fd: number, onLost: (lines: number) => void = () => {}) {
    this.#write = writerOf(fd);
    this.#onLost = onLost;
  }

  /** Writes a line, or keeps it until there is room. Never throws and never waits. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#waitingBytes + bytes.length > MAX_WAITING_BYTES) {
      this.#lost += 1;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#retry === null) this.#flush();
  }

  #flush(): void {
    this.#retry = null;
    for (let bytes = this.#waiting[0]; bytes !== undefined; bytes = this.#waiting[0]) {
      const length = this.#write(bytes);
      this.#waitingBytes -= length;
      if (length < bytes.length) {
        this.#waiting[0] = bytes.subarray(length);
        this.#retry = setTimeout(() => this.#flush(), RETRY_MS).unref();
        return;
      }
      this.#waiting.shift();
    }
    const lost = this.#lost;
    this.#lost = 0;
    if (lost > 0) this.#onLost(lost);
  }
}

/** Gives how many bytes the reader's side took; all of them when nobody will ever read any. */
function writerOf(fd: number): (bytes: Buffer) => number {
  const own = reopen(fd);
  return (bytes) => {
    try {
      return writeSync(own, bytes);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "EAGAIN" ? 0 : bytes.length;
    }
  };
}

/**
 * The same pipe or terminal with a description of its own that does not block: the flag on the
 * given one would hold for whoever else has it. Others, and those that belong to another user, stay
 * as they are: files have no readers, and sockets cannot be opened again.
 */
function reopen(fd: number): number {
  const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
  try {
    const hasReader = fstatSync(fd).isFIFO() || isatty(fd);
    return hasReader ? openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY) : fd;
  } catch {
    return fd;
  }
}
