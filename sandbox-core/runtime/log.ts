/** Log records on their way out, within the invocation's limits. */
import {
  type CallNumber,
  encodeLog,
  type LogLevel,
  type LogSource,
  MAX_NETWORK_NOTES,
  type RuntimeLimits,
} from "../protocol/frames.ts";

const { now } = Date;

/** Bytes of a log frame that are not text. */
const FRAME_OVERHEAD_BYTES = 19;
/** Longest message of an error: a function may name a host of any length. */
const MAX_NOTE_LENGTH = 400;

/**
 * Sends log records until an invocation has used up its share; then says so once and drops the
 * rest, so that a flood costs neither memory here nor work elsewhere. Output between two calls
 * counts towards the call before.
 */
export class LogWriter {
  readonly #send: (frame: Buffer) => void;
  #limits: RuntimeLimits;
  #call: CallNumber | null = null;
  #records = 0;
  #bytes = 0;
  #truncated = false;
  readonly #notes = new Set<string>();

  constructor(send: (frame: Buffer) => void, limits: RuntimeLimits) {
    this.#send = send;
    this.#limits = limits;
  }

  setLimits(limits: RuntimeLimits): void {
    this.#limits = limits;
  }

  /** From now on records belong to this call, which has its share before it. */
  begin(call: CallNumber): void {
    this.#call = call;
    this.#records = 0;
    this.#bytes = 0;
    this.#truncated = false;
    if (this.#notes.size > 0) this.#notes.clear();
  }

  /** From now on records belong to no call. */
  end(): void {
    this.#call = null;
  }

  write(level: LogLevel, source: LogSource, text: string): void {
    if (this.#truncated) return;
    const frame = encodeLog({ call: this.#call, level, source, timeMs: now(), text });
    this.#records++;
    this.#bytes += frame.length - FRAME_OVERHEAD_BYTES;
    if (this.#records > this.#limits.logRecords || this.#bytes > this.#limits.logBytes) this.#truncate();
    else this.#send(frame);
  }

  /**
   * The message of a connection's error, for the worker to explain: once, and only the first few
   * between two calls. None of the function's share is used up by it.
   */
  note(message: string): void {
    const text = message.slice(0, MAX_NOTE_LENGTH);
    if (this.#notes.size >= MAX_NETWORK_NOTES || this.#notes.has(text)) return;
    this.#notes.add(text);
    this.#send(encodeLog({ call: this.#call, level: "warn", source: "network", timeMs: now(), text }));
  }

  /**
   * A record of another call than the one that runs, or of none, whatever the limits: the last
   * words of a process.
   */
  writeOf(call: CallNumber | null, level: LogLevel, source: LogSource, text: string): void {
    this.#send(encodeLog({ call, level, source, timeMs: now(), text }));
  }

  #truncate(): void {
    this.#truncated = true;
    const { logRecords, logBytes } = this.#limits;
    const text = `[output truncated: an invocation may log ${logRecords} records and ${logBytes} bytes]`;
    this.#send(encodeLog({ call: this.#call, level: "warn", source: "console", timeMs: now(), text }));
  }
}
