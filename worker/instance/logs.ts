/**
 * Says whether a line of an instance belongs to a call, to the start of the instance, or to the
 * time between calls.
 */
import { type CallNumber, type Log, MAX_NETWORK_NOTES, ProtocolError } from "../../sandbox-core/protocol/frames.ts";
import { type CallLog, LOG_LIMITS } from "../outcome/call-log.ts";
import type { SecretMask } from "../outcome/secret-mask.ts";
import type { Call } from "./call.ts";
import type { NetworkHint } from "./network-hint.ts";

/** The runtime's own mark and a last word may come on top of what a call logs. */
const MAX_RECORDS = LOG_LIMITS.logRecords + 2 + MAX_NETWORK_NOTES;

export interface InstanceLogs {
  /** While the version is loaded: the log of the call that wanted it. */
  start: CallLog;
  /** Between calls. */
  idle: CallLog;
}

export class LogRouter {
  readonly #logs: InstanceLogs;
  readonly #hint: NetworkHint;
  readonly #mask: SecretMask | null;
  /** How many records the runtime has sent since the last call began. */
  #records = 0;
  #isStarting = true;
  #running: Call | null = null;
  /** The call before: its number and log alone, as a body may be large. */
  #before: Pick<Call, "number" | "log"> | null = null;

  /** @param mask of the secrets in what comes; null when there are none */
  constructor(logs: InstanceLogs, hint: NetworkHint, mask: SecretMask | null) {
    this.#logs = logs;
    this.#hint = hint;
    this.#mask = mask;
  }

  /** Takes a line that was written straight to a descriptor, and so names no call. */
  hearLine(line: string): void {
    const text = this.#mask?.apply(line) ?? line;
    const log = this.#running?.log ?? (this.#isStarting ? this.#logs.start : this.#logs.idle);
    log.add("info", "stdout", text);
    this.#hint.look(text, log);
  }

  started(): void {
    this.#isStarting = false;
  }

  begin(call: Call): void {
    this.#records = 0;
    this.#running = call;
  }

  /** The call that ran has ended. */
  end({ number, log }: Call): void {
    this.#before = { number, log };
  }

  /** No call runs now. */
  idle(): void {
    this.#running = null;
  }

  /** Takes a record of the runtime's. @throws ProtocolError when it may not come now */
  hear({ call, level, source, text: written, timeMs }: Log): void {
    const log = this.#logOf(call);
    if (log === null) throw new ProtocolError("A log record of no call of now.");
    this.#records += 1;
    // The runtime stops by itself. A sender that does not stop is not the runtime, and keeps the
    // worker busy for nothing.
    if (this.#records > MAX_RECORDS) throw new ProtocolError("More log records than are allowed.");
    const text = this.#mask?.apply(written) ?? written;
    if (source !== "network") log.add(level, source, text, timeMs);
    this.#hint.look(text, log);
  }

  #logOf(number: CallNumber | null): CallLog | null {
    if (number === null) return this.#isStarting ? this.#logs.start : this.#logs.idle;
    return [this.#running, this.#before].find((call) => call?.number === number)?.log ?? null;
  }
}
