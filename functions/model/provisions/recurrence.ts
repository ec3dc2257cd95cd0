/** Periods that begin by a cron expression: when one is under way, and when that changes. */
import { createRequire } from "node:module";
import type { CronExpression } from "cron-parser";
import { LruMap } from "../../../infra/std/lru.ts";

/** Periods that begin by a cron expression of five fields, in a time zone, and last so long. */
export interface Recurrence {
  cron: string;
  timezone: string;
  forMs: number;
}

/** A time in which nothing changes. */
export interface Period {
  isOn: boolean;
  fromMs: number;
  /** The first moment after it. */
  untilMs: number;
}

const PART = "(?:[0-9*,/-]|[A-Za-z]{3})+";
/**
 * The five fields of crontab. The library takes more: seconds, and "H", a moment that it draws by
 * lot, so that each worker would have another one.
 */
export const CRON_PATTERN = new RegExp(`^[0-9*,/-]+(?: +[0-9*,/-]+){2}(?: +${PART}){2}$`);

/** Most periods of functions that are remembered, a few dozen bytes each. */
const MAX_REMEMBERED = 10_000;
/** Periods without a gap between them that are taken as one at a time. */
const MAX_JOINED = 8;
/** More than clocks are set by, and most moments in that time that are passed over. */
const CLOCK_CHANGE_MS = 3 * 3_600_000;
const MAX_SKIPPED = 8;
/** Most days of each month. */
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/** How long an expression that cannot be read is not tried again. */
const UNREADABLE_MS = 3_600_000;

const remembered = new LruMap<string, Period>(MAX_REMEMBERED);

/** The period at a moment, remembered until it is over: asking each second costs nothing. */
export function periodAt(recurrence: Recurrence, nowMs: number): Period {
  const { cron, timezone, forMs } = recurrence;
  const key = `${forMs} ${timezone} ${cron}`;
  const last = remembered.get(key);
  if (last !== undefined && last.fromMs <= nowMs && nowMs < last.untilMs) return last;
  const period = findPeriod(recurrence, nowMs);
  remembered.set(key, period);
  return period;
}

/** The period at a moment. */
export function findPeriod(recurrence: Recurrence, nowMs: number): Period {
  try {
    return periodFrom(recurrence, nowMs);
  } catch {
    // Text that the schema let pass, and this library does not, must not end the look at others.
    return { isOn: false, fromMs: nowMs, untilMs: nowMs + UNREADABLE_MS };
  }
}

/** One is under way when it began within its length before now, so the search starts there. */
function periodFrom({ cron, timezone, forMs }: Recurrence, nowMs: number): Period {
  const begin = beginnings(cron, timezone, nowMs - forMs);
  const firstMs = begin();
  if (firstMs > nowMs) return { isOn: false, fromMs: nowMs, untilMs: firstMs };
  let untilMs = firstMs + forMs;
  for (let joined = 0; joined < MAX_JOINED; joined++) {
    const nextMs = begin();
    if (nextMs > untilMs) break;
    untilMs = nextMs + forMs;
  }
  return { isOn: true, fromMs: firstMs, untilMs };
}

/**
 * Gives one beginning after the other, of those after a moment. A search that starts within the
 * hour in which the clocks change misses a moment that this hour skips, and finds one that comes in
 * it twice a second time, so it starts before. An expression with many moments has no such doubt.
 */
function beginnings(cron: string, timezone: string, afterMs: number): () => number {
  const early = parser().parse(cron, { tz: timezone, currentDate: afterMs - CLOCK_CHANGE_MS });
  for (let skipped = 0; skipped < MAX_SKIPPED; skipped++) {
    const firstMs = early.next().getTime();
    if (firstMs > afterMs) return followedBy(firstMs, early);
  }
  const exact = parser().parse(cron, { tz: timezone, currentDate: afterMs });
  return followedBy(exact.next().getTime(), exact);
}

function followedBy(firstMs: number, expression: CronExpression): () => number {
  let nextMs: number | null = firstMs;
  return () => {
    const ms = nextMs ?? expression.next().getTime();
    nextMs = null;
    return ms;
  };
}

/** Why a cron expression cannot be used, in words; null when it can. */
export function cronProblem(cron: string): string | null {
  try {
    const expression = parser().parse(cron, { tz: "UTC" });
    const { month, dayOfMonth, dayOfWeek } = expression.fields;
    const isDay = month.values.some((number) => Number(dayOfMonth.values[0]) <= (DAYS[number - 1] ?? 0));
    // The library would search for long.
    if (dayOfWeek.isWildcard && !isDay) return "none of the months has such a day";
    expression.next();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

let loaded: typeof import("cron-parser") | undefined;

/** The library, which commands do without unless there is something to parse: 25 ms. */
function parser() {
  loaded ??= createRequire(import.meta.url)("cron-parser") as typeof import("cron-parser");
  return loaded.CronExpressionParser;
}
