/** How many instances of a function are kept warm: always so many, or so many at certain times. */
import { z } from "zod";
import { DURATION_PATTERN, readDuration } from "../../../infra/std/duration.ts";
import { CRON_PATTERN, cronProblem, findPeriod, type Period, periodAt } from "./recurrence.ts";

/** Most instances that a function may have kept, and most entries of its list. */
const MAX_INSTANCES = 1_000;
const MAX_ENTRIES = 20;
const MAX_CRON_LENGTH = 100;
const MAX_TIMEZONE_LENGTH = 64;
/** Shortest and longest time that an entry counts for. */
const LEAST_FOR_MS = 60_000;
const MOST_FOR_MS = 7 * 86_400_000;
/** Most periods that are looked at for the next change, as a list may have many short ones. */
const MAX_LOOKED_AT = 64;

const ALWAYS: Period = { isOn: true, fromMs: Number.NEGATIVE_INFINITY, untilMs: Number.POSITIVE_INFINITY };

const FOR_DEMAND = 'a number and one of s, m, h, d, from 1m to 7d, as in "10h"';
const FIELDS_DEMAND =
  'five fields, as in "0 8 * * 1-5": minute, hour, day of the month, month, day of the week; no seconds';

const entrySchema = z
  .strictObject({
    count: z.int().min(1).max(MAX_INSTANCES).meta({ description: "Instances that are kept while the entry counts." }),
    cron: z
      .string()
      .max(MAX_CRON_LENGTH)
      .regex(CRON_PATTERN, { abort: true, error: FIELDS_DEMAND })
      .superRefine((cron, context) => {
        const problem = cronProblem(cron);
        if (problem !== null) context.addIssue({ code: "custom", message: `${problem}. It needs ${FIELDS_DEMAND}` });
      })
      .optional()
      .meta({ description: "When the entry begins to count: five fields, as crontab has them." }),
    for: z
      .string()
      .regex(DURATION_PATTERN, { abort: true, error: FOR_DEMAND })
      .refine(isFitting, FOR_DEMAND)
      .optional()
      .meta({ description: "How long it counts from then on: from 1m to 7d." }),
    timezone: z
      .string()
      .max(MAX_TIMEZONE_LENGTH)
      .refine(isTimezone, 'no time zone that is known: a name as "Europe/Berlin", or UTC')
      .optional()
      .meta({ default: "UTC", description: "The time zone of `cron`." }),
  })
  .superRefine((entry, context) => {
    if ((entry.cron === undefined) !== (entry.for === undefined)) {
      const [path, other] = entry.cron === undefined ? ["for", "cron"] : ["cron", "for"];
      context.addIssue({ code: "custom", path: [path], message: `"${path}" stands beside "${other}" only` });
    }
    if (entry.timezone !== undefined && entry.cron === undefined)
      context.addIssue({ code: "custom", path: ["timezone"], message: '"timezone" stands beside "cron" only' });
  });

/** A number of instances, and when it counts; always without `cron`. */
type KeptEntry = z.output<typeof entrySchema>;

export const minInstancesSchema = z.union([
  z.int().min(0).max(MAX_INSTANCES),
  z
    .array(entrySchema)
    .min(1, "at least one entry, or 0 in place of the list")
    .max(MAX_ENTRIES, `at most ${MAX_ENTRIES} entries`),
]);

export type MinInstances = z.output<typeof minInstancesSchema>;

/** The most instances that are ever kept by it. */
export function mostInstances(minInstances: MinInstances = 0): number {
  return typeof minInstances === "number" ? minInstances : Math.max(...minInstances.map(({ count }) => count));
}

/** The instances that are kept by it at a moment: as many as the largest entry that counts says. */
export function instancesAt(minInstances: MinInstances = 0, nowMs: number): number {
  if (typeof minInstances === "number") return minInstances;
  return countOf(minInstances, (entry) => periodOf(entry, nowMs, periodAt));
}

/** When another number of instances counts next, and how many; null: never, or not for long. */
export function nextChange(minInstances: MinInstances = 0, nowMs: number): { atMs: number; count: number } | null {
  if (typeof minInstances === "number") return null;
  const periods = new Map(minInstances.map((entry) => [entry, periodOf(entry, nowMs, findPeriod)]));
  const countNow = () => countOf(minInstances, (entry) => periods.get(entry));
  const before = countNow();
  for (let looked = 0; looked < MAX_LOOKED_AT; ) {
    const atMs = Math.min(...[...periods.values()].map(({ untilMs }) => untilMs));
    if (atMs === Number.POSITIVE_INFINITY) return null;
    for (const [entry, { untilMs }] of periods) {
      if (untilMs > atMs) continue;
      periods.set(entry, periodOf(entry, atMs, findPeriod));
      looked += 1;
    }
    const count = countNow();
    if (count !== before) return { atMs, count };
  }
  return null;
}

/** The largest count of those that are on. */
function countOf(entries: readonly KeptEntry[], of: (entry: KeptEntry) => Period | undefined): number {
  return Math.max(0, ...entries.map((entry) => (of(entry)?.isOn ? entry.count : 0)));
}

function periodOf(entry: KeptEntry, nowMs: number, find: typeof findPeriod): Period {
  if (entry.cron === undefined || entry.for === undefined) return ALWAYS;
  return find({ cron: entry.cron, timezone: entry.timezone ?? "UTC", forMs: readDuration(entry.for) ?? 0 }, nowMs);
}

/** The instances that are kept of a version that gets such a share of the calls. */
export function shareOf(count: number, percent: number): number {
  return Math.ceil((count * percent) / 100);
}

function isFitting(text: string): boolean {
  const ms = readDuration(text);
  return ms !== null && ms >= LEAST_FOR_MS && ms <= MOST_FOR_MS;
}

function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
