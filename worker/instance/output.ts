/**
 * Output that a sandbox writes straight to descriptors 1 and 2: bounded in memory, in lines and in
 * speed.
 */
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { setTimeout as delay } from "node:timers/promises";

/** Longest line; a longer line is cut into several. */
const MAX_LINE_LENGTH = 8 * 1024;
/** The last of the output, where V8 says why it gives up. */
const TAIL_LENGTH = 8 * 1024;
/**
 * A sandbox that floods is read no faster than one such piece a pause, or what costs as much, so
 * that it cannot keep the worker busy.
 */
const PIECE_BYTES = 256 * 1024;
const PAUSE_MS = 10;
/** A line costs as much as so many bytes, however short it is. */
const BYTES_PER_LINE = 128;

/**
 * Reads a sandbox's output to its end. Lines go to `onLine`, whose limits decide what is kept of
 * them.
 */
export class Output {
  /** Settles when the output has ended. */
  readonly ended: Promise<void>;
  #tail = "";

  constructor(stdio: Readable, onLine: (text: string) => void) {
    this.ended = this.#read(stdio, onLine).catch(() => {});
  }

  /** The last few thousand characters. */
  get tail(): string {
    return this.#tail;
  }

  async #read(stdio: Readable, onLine: (text: string) => void): Promise<void> {
    const decoder = new StringDecoder("utf8");
    let partial = "";
    let cost = 0;
    const countLine = (line: string) => {
      cost += BYTES_PER_LINE;
      onLine(line);
    };
    for await (const chunk of stdio as AsyncIterable<Buffer>) {
      const text = decoder.write(chunk);
      this.#tail = (this.#tail + text).slice(-TAIL_LENGTH);
      partial = eachLine(partial + text, countLine);
      cost += chunk.length;
      if (cost < PIECE_BYTES) continue;
      await delay((cost / PIECE_BYTES) * PAUSE_MS);
      cost = 0;
    }
    if (partial !== "") onLine(partial);
  }
}

/** Hands over every whole line, and pieces of a line that is too long; returns the rest. */
function eachLine(text: string, onLine: (line: string) => void): string {
  let start = 0;
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
    for (; end - start > MAX_LINE_LENGTH; start += MAX_LINE_LENGTH) onLine(text.slice(start, start + MAX_LINE_LENGTH));
    onLine(text.slice(start, end));
    start = end + 1;
  }
  for (; text.length - start > MAX_LINE_LENGTH; start += MAX_LINE_LENGTH)
    onLine(text.slice(start, start + MAX_LINE_LENGTH));
  return text.slice(start);
}
