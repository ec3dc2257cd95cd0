/**
 * What functions log, and how their calls ended. Each function has one capped stream in Redis with both, in order; each
 * invocation has at most one record, whoever tries to write it and however often.
 */
import type { Redis, Result } from "ioredis";
import { gather } from "./gather.ts";
import type { InvocationRecord, LogRecord } from "./invocation.ts";
import type { FunctionRef } from "./registry.ts";

/** One line of a function's history: something it logged, or the end of a call. */
export type LogEntry = LogRecord | { end: InvocationRecord };

/** Longest text of one log record, in UTF-16 units; more is cut. */
export const MAX_LOG_TEXT_LENGTH = 8_192;
/** About how many entries a function's stream keeps. */
const MAX_STREAM_ENTRIES = 5_000;
/** How many records of invocations a function keeps at least; older ones are forgotten. */
const MAX_RECORDS = 1_000;
const KEEP_MS = 7 * 24 * 3_600_000;
/** How long a forgotten record still keeps its invocation from being recorded again. */
const FORGOTTEN_KEEP_MS = 60_000;
const READ_PAGE = 500;
const FOLLOW_BLOCK_MS = 10_000;

const streamKey = ({ tenant, functionName }: FunctionRef): string => `sp:logs:${tenant}:${functionName}`;
const recordsKey = ({ tenant, functionName }: FunctionRef): string => `sp:records:${tenant}:${functionName}`;
const RECORD_PREFIX = "sp:record:";
const recordKey = (id: string): string => RECORD_PREFIX + id;
const INVOCATION_ID = /^[0-9a-f-]{36}$/;

/**
 * KEYS: record, stream, list of ids. ARGV: record, keep ms, entries, records, key prefix of records, ms that a forgotten
 * one is kept. Gives 1 when it was recorded now, 0 when there was a record.
 *
 * The oldest record makes way for the new one: its key keeps an empty text for a while, so that a second record of the
 * same invocation is still refused, and costs next to nothing.
 */
const RECORD = `
if not redis.call("SET", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then return 0 end
redis.call("XADD", KEYS[2], "MAXLEN", "~", ARGV[3], "*", "e", ARGV[1])
redis.call("PEXPIRE", KEYS[2], ARGV[2])
if redis.call("LPUSH", KEYS[3], string.sub(KEYS[1], #ARGV[5] + 1)) > tonumber(ARGV[4]) then
  redis.call("SET", ARGV[5] .. redis.call("RPOP", KEYS[3]), "", "XX", "PX", ARGV[6])
end
redis.call("PEXPIRE", KEYS[3], ARGV[2])
return 1`;

declare module "ioredis" {
  interface RedisCommander<Context> {
    sandpiperRecord(...args: (string | number)[]): Result<number, Context>;
  }
}

/** Teaches a connection the script, once: ioredis then sends its hash rather than its text. */
function defineRecord(redis: Redis): void {
  if (!Object.hasOwn(redis, "sandpiperRecord"))
    redis.defineCommand("sandpiperRecord", { numberOfKeys: 3, lua: RECORD });
}

/**
 * Records how an invocation ended, and closes its log with that. Travels with the other records and logs of the tick.
 * @returns false when this invocation has a record already, which then stays as it is.
 * @throws what ioredis throws when Redis does not answer.
 */
export async function recordInvocation(redis: Redis, record: InvocationRecord): Promise<boolean> {
  defineRecord(redis);
  const recorded = await gather(redis, (pipeline) =>
    pipeline.sandpiperRecord(
      recordKey(record.id),
      streamKey(record),
      recordsKey(record),
      JSON.stringify(record),
      KEEP_MS,
      MAX_STREAM_ENTRIES,
      MAX_RECORDS,
      RECORD_PREFIX,
      FORGOTTEN_KEEP_MS,
    ),
  );
  return recorded === 1;
}

/**
 * Adds lines to a function's log, in order. Long text is cut and says so. Travels with the other records of the tick.
 * @throws what ioredis throws when Redis does not answer.
 */
export async function appendLogs(redis: Redis, ref: FunctionRef, records: readonly LogRecord[]): Promise<void> {
  if (records.length === 0) return;
  // A pipeline knows the scripts that were defined before it was made, and a record may join this one.
  defineRecord(redis);
  const key = streamKey(ref);
  const added = records.map((record) =>
    gather(redis, (pipeline) =>
      pipeline.xadd(key, "MAXLEN", "~", MAX_STREAM_ENTRIES, "*", "l", JSON.stringify(withShortText(record))),
    ),
  );
  await Promise.all([...added, gather(redis, (pipeline) => pipeline.pexpire(key, KEEP_MS))]);
}

/** The record of a tenant's invocation, or null when there is none (yet, or any more). */
export async function findInvocation(redis: Redis, tenant: string, id: string): Promise<InvocationRecord | null> {
  if (!INVOCATION_ID.test(id)) return null;
  const stored = await redis.get(recordKey(id));
  if (!stored) return null;
  const record = JSON.parse(stored) as InvocationRecord;
  return record.tenant === tenant ? record : null;
}

/** Forgets what a function logged. Records of its invocations stay until they expire. */
export async function deleteLogs(redis: Redis, ref: FunctionRef): Promise<void> {
  await redis.unlink(streamKey(ref));
}

/** Which entries of a log are wanted. */
export interface LogFilter {
  invocationId?: string;
  /** Unix time in milliseconds; older entries are left out. */
  sinceMs?: number;
}

/** An entry and its place in the stream. */
export interface PlacedEntry {
  place: string;
  entry: LogEntry;
}

/**
 * The latest entries that the filter lets through, oldest first.
 * @param limit most entries to give.
 */
export async function readLogs(
  redis: Redis,
  ref: FunctionRef,
  filter: LogFilter & { limit: number },
): Promise<PlacedEntry[]> {
  const key = streamKey(ref);
  const found: PlacedEntry[] = [];
  const oldest = filter.sinceMs === undefined ? "-" : String(Math.max(0, Math.floor(filter.sinceMs)));
  let newest = "+";
  while (found.length < filter.limit) {
    const page = await redis.xrevrange(key, newest, oldest, "COUNT", READ_PAGE);
    for (const [place, fields] of page) {
      const entry = parseEntry(fields);
      if (entry && passes(entry, filter) && found.length < filter.limit) found.push({ place, entry });
    }
    const last = page.at(-1);
    if (!last || page.length < READ_PAGE) break;
    newest = `(${last[0]}`;
  }
  return found.reverse();
}

/**
 * Entries as they come, from behind a place on; ends when the signal aborts. It uses a connection of its own, which
 * waits while Redis is away.
 * @param after a `place` out of `readLogs`; without it only what comes from now on.
 */
export async function* followLogs(
  redis: Redis,
  ref: FunctionRef,
  filter: LogFilter & { after?: string | undefined; signal: AbortSignal },
): AsyncGenerator<PlacedEntry> {
  const own = redis.duplicate({ maxRetriesPerRequest: null, enableOfflineQueue: true, lazyConnect: false });
  own.on("error", () => {});
  const stop = (): void => own.disconnect();
  filter.signal.addEventListener("abort", stop, { once: true });
  try {
    let after = filter.after ?? (await newestPlace(redis, ref));
    while (!filter.signal.aborted) {
      const page = await own.xread("COUNT", READ_PAGE, "BLOCK", FOLLOW_BLOCK_MS, "STREAMS", streamKey(ref), after);
      for (const [place, fields] of page?.[0]?.[1] ?? []) {
        after = place;
        const entry = parseEntry(fields);
        if (entry && passes(entry, filter)) yield { place, entry };
      }
    }
  } catch (error) {
    if (!filter.signal.aborted) throw error;
  } finally {
    filter.signal.removeEventListener("abort", stop);
    own.disconnect();
  }
}

async function newestPlace(redis: Redis, ref: FunctionRef): Promise<string> {
  const [newest] = await redis.xrevrange(streamKey(ref), "+", "-", "COUNT", 1);
  return newest?.[0] ?? "0-0";
}

/** Fields are `l` with a log record, or `e` with the record of an end. */
function parseEntry(fields: string[]): LogEntry | null {
  const [kind, text = ""] = fields;
  if (kind === "l") return JSON.parse(text) as LogRecord;
  if (kind === "e") return { end: JSON.parse(text) as InvocationRecord };
  return null;
}

function passes(entry: LogEntry, { invocationId, sinceMs }: LogFilter): boolean {
  const id = "end" in entry ? entry.end.id : entry.invocationId;
  const timeMs = "end" in entry ? entry.end.endedAtMs : entry.timeMs;
  return (invocationId === undefined || id === invocationId) && (sinceMs === undefined || timeMs >= sinceMs);
}

function withShortText(record: LogRecord): LogRecord {
  const { text } = record;
  if (text.length <= MAX_LOG_TEXT_LENGTH) return record;
  return { ...record, text: `${text.slice(0, MAX_LOG_TEXT_LENGTH)}... (${text.length} characters, the rest is cut)` };
}
