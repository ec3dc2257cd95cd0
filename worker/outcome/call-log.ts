/**
 * The log of one invocation on its way to Redis, within limits that hold whatever the sandbox does.
 */
import type { LogRecord } from "../../functions/model/invocation.ts";

/** A well-behaved runtime keeps to these by itself; see RuntimeLimits in the wire protocol. */
export const LOG_LIMITS = { logRecords: 1_000, logBytes: 256 * 1024 };
/** The platform's own words do not count towards the limits. */
const MARK = "[output truncated: more was written straight to the descriptors than an invocation may log]";
/** While a call runs its records leave in batches, so that a follower sees them soon. */
const FLUSH_MS = 250;

export class CallLog {
  readonly #invocationId: string | null;
  readonly #write: (records: LogRecord[]) => void;
  #records: LogRecord[] = [];
  #count = 0;
  #bytes = 0;
  #truncated = false;
  #timer: NodeJS.Timeout | null = null;

  /** @param write gets records in batches, in order. */
  constructor(invocationId: string | null, write: (records: LogRecord[]) => void) {
    this.#invocationId = invocationId;
    this.#write = write;
  }

  /** Adds what the function wrote; beyond the limits it is dropped, and the log says so once. */
  add(level: LogRecord["level"], source: LogRecord["source"], text: string, timeMs = Date.now()): void {
    if (this.#truncated) return;
    this.#count += 1;
    this.#bytes += Buffer.byteLength(text);
    // The runtime's own mark is one more than its limit.
    this.#truncated = this.#count > LOG_LIMITS.logRecords + 1 || this.#bytes > 2 * LOG_LIMITS.logBytes;
    if (this.#truncated) this.say("warn", MARK);
    else this.#push({ invocationId: this.#invocationId, timeMs, level, source, text });
  }

  /** Adds what Sandpiper has to say, whatever the limits. */
  say(level: LogRecord["level"], text: string): void {
    this.#push({ invocationId: this.#invocationId, timeMs: Date.now(), level, source: "platform", text });
  }

  /** Hands over what there is. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#records.length === 0) return;
    this.#write(this.#records);
    this.#records = [];
  }

  #push(record: LogRecord): void {
    this.#records.push(record);
    this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }
}
