/**
 * Lines of a log that come in storms: the first few of a kind are written, those behind them
 * counted, and the count is told at the end. A part that fails a thousand times a second would else
 * fill the disk, and hide what failed first.
 */
/** Fields of a line, beside its message. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface StormLimits {
  /** Lines of one kind that are written in a window. */
  burst: number;
  windowMs: number;
}

export const STORM_LIMITS: StormLimits = { burst: 10, windowMs: 10_000 };

/**
 * Most kinds that are told apart at once. Lines of those beyond count by their messages, so that a
 * storm of one part's leaves the lines of other parts visible; with as many messages, all as one.
 */
const MAX_KINDS = 1_000;
/** Fields by which lines with one message are of different kinds: names, and a text. */
const NAMES = ["code", "function"] as const;
const TELLING = [...NAMES, "reason"] as const;

/** A line as it was given to a logger. */
interface Line<Level extends string> {
  level: Level;
  message: string;
  fields: LogFields;
}

interface Kind<Level extends string> {
  /** The first. */
  line: Line<Level>;
  count: number;
  /** Whether lines of other kinds count here as well. */
  isShared: boolean;
}

export class Storms<Level extends string> {
  readonly #limits: StormLimits;
  readonly #onOver: (line: Line<Level>) => void;
  readonly #kinds = new Map<string, Kind<Level>>();

  /** @param onOver gets the line that tells how many were not written. */
  constructor(limits: StormLimits, onOver: (line: Line<Level>) => void) {
    this.#limits = limits;
    this.#onOver = onOver;
  }

  /** Counts a line; false when there were too many of its kind, and it is not to be written. */
  admit(line: Line<Level>): boolean {
    const kind = this.#kindOf(line);
    kind.count += 1;
    return kind.count <= this.#limits.burst;
  }

  #kindOf(line: Line<Level>): Kind<Level> {
    const own = keyOf(line);
    const key = [own, keyOf({ ...line, fields: {} })].find((one, at) => this.#hasRoomFor(one, at)) ?? "";
    let kind = this.#kinds.get(key);
    if (kind === undefined) {
      kind = { line, count: 0, isShared: key !== own };
      this.#kinds.set(key, kind);
      setTimeout(() => this.#end(key), this.#limits.windowMs).unref();
    }
    return kind;
  }

  /** @param at 0 for a kind, 1 for all kinds with one message */
  #hasRoomFor(key: string, at: number): boolean {
    return this.#kinds.has(key) || this.#kinds.size < MAX_KINDS * (at + 1);
  }

  #end(key: string): void {
    const kind = this.#kinds.get(key);
    this.#kinds.delete(key);
    const more = (kind?.count ?? 0) - this.#limits.burst;
    if (kind === undefined || more <= 0) return;
    const { level, message, fields } = kind.line;
    const like = kind.isShared ? "of many kinds" : "like it";
    const told = TELLING.filter((name) => fields[name] !== undefined).map((name) => [name, fields[name]]);
    this.#onOver({
      level,
      message: `${message} ... and ${more} more ${like} in ${this.#limits.windowMs / 1_000} s`,
      fields: { ...(kind.isShared ? {} : Object.fromEntries(told)), more },
    });
  }
}

/**
 * The same for lines that differ in numbers and ids alone. Names are whole: functions of different
 * tenants may differ in a number.
 */
function keyOf<Level extends string>({ level, message, fields }: Line<Level>): string {
  const texts = [message, textOf(fields.reason)].map((text) => text.slice(0, 200).replace(/[0-9a-f]{8,}|\d+/g, "#"));
  return [level, ...texts, ...NAMES.map((name) => textOf(fields[name]).slice(0, 200))].join("\n");
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
