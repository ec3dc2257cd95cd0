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

/** Most kinds that are told apart at once; those beyond count as one. */
const MAX_KINDS = 1_000;
/** Fields by which lines with one message are of different kinds. */
const TELLING = ["code", "function", "reason"] as const;

/** A line as it was given to a logger. */
interface Line<Level extends string> {
  level: Level;
  message: string;
  fields: LogFields;
}

interface Kind<Level extends string> {
  line: Line<Level>;
  count: number;
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
    const full = this.#kinds.size >= MAX_KINDS;
    const own = keyOf(line);
    const key = full && !this.#kinds.has(own) ? "" : own;
    let kind = this.#kinds.get(key);
    if (kind === undefined) {
      kind = { line, count: 0 };
      this.#kinds.set(key, kind);
      setTimeout(() => this.#end(key), this.#limits.windowMs).unref();
    }
    return kind;
  }

  #end(key: string): void {
    const kind = this.#kinds.get(key);
    this.#kinds.delete(key);
    const more = (kind?.count ?? 0) - this.#limits.burst;
    if (kind === undefined || more <= 0) return;
    const { level, message, fields } = kind.line;
    const like = key === "" ? "of many kinds" : "like it";
    const told = TELLING.filter((name) => fields[name] !== undefined).map((name) => [name, fields[name]]);
    this.#onOver({
      level,
      message: `${message} ... and ${more} more ${like} in ${this.#limits.windowMs / 1_000} s`,
      fields: key === "" ? {} : { ...Object.fromEntries(told), more },
    });
  }
}

/** The same for lines that differ in numbers and ids alone. */
function keyOf<Level extends string>({ level, message, fields }: Line<Level>): string {
  const told = TELLING.map((name) => (typeof fields[name] === "string" ? fields[name] : ""));
  return [level, message, ...told].map((text) => text.slice(0, 200).replace(/[0-9a-f]{8,}|\d+/g, "#")).join("\n");
}
