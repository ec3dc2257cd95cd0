/**
 * Output that a sandbox writes straight to descriptors 1 and 2: bounded in memory, in lines and in
 * speed.
 */
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { setTimeout as delay } from "node:timers/promises";
import type { SecretMask } from "../outcome/secret-mask.ts";

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
/** Output that secrets are looked for in costs so many times as much. */
const MASKING_FACTOR = 8;
/** Most of a line without an end that is held back, as a secret may go on in what comes next. */
const MAX_HELD_LENGTH = 32 * 1024;

/**
 * Reads a sandbox's output to its end. Lines go to `onLine`, whose limits decide what is kept of
 * them.
 */
export class Output {
  /** Settles when the output has ended. */
  readonly ended: Promise<void>;
  #tail = "";

  /** @param mask of the secrets in it: a line is not cut through one */
  constructor(stdio: Readable, onLine: (text: string) => void, mask: SecretMask | null = null) {
    this.ended = this.#read(stdio, onLine, mask).catch(() => {});
  }

  /** The last few thousand characters. */
  get tail(): string {
    return this.#tail;
  }

  async #read(stdio: Readable, onLine: (text: string) => void, mask: SecretMask | null): Promise<void> {
    const decoder = new StringDecoder("utf8");
    let partial = "";
    let cost = 0;
    const factor = mask === null ? 1 : MASKING_FACTOR;
    const countLine = (line: string) => {
      cost += BYTES_PER_LINE * factor;
      onLine(line);
    };
    for await (const chunk of stdio as AsyncIterable<Buffer>) {
      const text = decoder.write(chunk);
      this.#tail = (this.#tail + text).slice(-TAIL_LENGTH);
      partial = eachLine(partial + text, countLine, mask);
      cost += chunk.length * factor;
      if (cost < PIECE_BYTES) continue;
      await delay((cost / PIECE_BYTES) * PAUSE_MS);
      cost = 0;
    }
    if (partial !== "") eachLine(`${partial}\n`, onLine, mask);
  }
}

/** Hands over every whole line, and pieces of a line that is too long; returns the rest. */
function eachLine(text: string, onLine: (line: string) => void, mask: SecretMask | null): string {
  let start = 0;
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
    onLine(piecesOf(text.slice(start, end), onLine, mask, 0));
    start = end + 1;
  }
  // The end of a value may be on its way.
  return piecesOf(text.slice(start), onLine, mask, Math.min(mask?.longest ?? 0, MAX_HELD_LENGTH));
}

/**
 * Hands over pieces of a line that is too long, cut through no secret; returns the rest.
 * @param held length of what is not handed over in any case
 */
function piecesOf(line: string, onLine: (piece: string) => void, mask: SecretMask | null, held: number): string {
  if (line.length <= MAX_LINE_LENGTH + held) return line;
  const text = mask?.apply(line) ?? line;
  let start = 0;
  for (; text.length - start > MAX_LINE_LENGTH + held; start += MAX_LINE_LENGTH)
    onLine(text.slice(start, start + MAX_LINE_LENGTH));
  return text.slice(start);
}
