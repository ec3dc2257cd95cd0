/**
 * Logs of functions, and records of their calls. Each function has one capped stream in Redis with
 * both, in order; each invocation has at most one record, whoever tries to write it and however
 * often.
 */
import type { Redis } from "ioredis";
import type { InvocationRecord, LogEntry, LogRecord } from "../model/record.ts";
import { connectionLike, PATIENT } from "../redis/connections.ts";
import { type LogKeys, writeEntry } from "./log-batch.ts";
import { entriesOf, type PlacedEntry } from "./log-entries.ts";
import { hashOf, PROVISIONAL, RECORD_PREFIX } from "./log-script.ts";
import type { FunctionRef } from "./registry.ts";

export type { PlacedEntry } from "./log-entries.ts";

/** Longest text of one log record, in UTF-16 units; more is cut. */
export const MAX_LOG_TEXT_LENGTH = 8_192;
const READ_PAGE = 500;
/** Short, as a connection that waits gives no sign of life. */
const FOLLOW_BLOCK_SECONDS = 1;

const streamKey = ({ tenant, functionName }: FunctionRef): string => `sp:logs:${tenant}:${functionName}`;
const INVOCATION_ID = /^[0-9a-f-]{36}$/;

const keysOf = (ref: FunctionRef): LogKeys => ({
  stream: streamKey(ref),
  name: `${ref.tenant}:${ref.functionName}`,
});
/** Names of functions that have no log, as nobody may make one by asking for them. */
const NO_LOG: LogKeys = { stream: "sp:logs", name: "" };

/**
 * Records how an invocation ended, and closes its log with that.
 * @returns false when this invocation has a record already, which then stays as it is.
 * @throws what ioredis throws when Redis does not answer.
 */
export function recordInvocation(redis: Redis, record: InvocationRecord): Promise<boolean> {
  const kind = record.outcome === "ok" ? "ok" : "failed";
  return writeEntry(redis, keysOf(record), { kind, id: record.id, text: JSON.stringify(record) });
}

/**
 * Records a call that ended at its gateway, as far as that knows: a worker's record of the same
 * call takes its place. No function's log tells of the call.
 * @returns false when this invocation has a record already, which then stays as it is.
 * @throws what ioredis throws when Redis does not answer.
 */
export function recordUnrun(redis: Redis, record: InvocationRecord): Promise<boolean> {
  const text = PROVISIONAL + JSON.stringify(record);
  return writeEntry(redis, NO_LOG, { kind: "unrun", id: record.id, text });
}

/**
 * Adds lines to a function's log, in order. Long text is cut and says so.
 * @throws what ioredis throws when Redis does not answer.
 */
export async function appendLogs(redis: Redis, ref: FunctionRef, records: readonly LogRecord[]): Promise<void> {
  const keys = keysOf(ref);
  const entries = records.map((record) => ({ kind: "line" as const, text: JSON.stringify(withShortText(record)) }));
  await Promise.all(entries.map((entry) => writeEntry(redis, keys, entry)));
}

/** The record of a tenant's invocation, or null when there is none (yet, or any more). */
export async function findInvocation(redis: Redis, tenant: string, id: string): Promise<InvocationRecord | null> {
  if (!INVOCATION_ID.test(id)) return null;
  // In this order: what a gateway said is gone the moment a worker's record is elsewhere.
  const stored = (await redis.get(RECORD_PREFIX + id)) ?? (await redis.hget(hashOf(id), id));
  if (!stored) return null;
  const record = JSON.parse(stored.slice(stored[0] === PROVISIONAL ? 1 : 0)) as InvocationRecord;
  return record.tenant === tenant ? record : null;
}

/** Forgets what a function logged. Records of its invocations stay until they expire. */
export async function deleteLogs(redis: Redis, ref: FunctionRef): Promise<void> {
  await redis.unlink(streamKey(ref));
}

/** The entries of a log that are wanted. */
export interface LogFilter {
  invocationId?: string;
  /** Unix time in milliseconds; older entries are left out. */
  sinceMs?: number;
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
    for await (const entries of entriesOf(redis, page, { ...filter, isNewestFirst: true })) {
      const wanted = entries.filter(({ entry }) => passes(entry, filter));
      found.push(...wanted.slice(0, filter.limit - found.length));
      if (found.length === filter.limit) break;
    }
    const last = page.at(-1);
    if (!last || page.length < READ_PAGE) break;
    newest = `(${last[0]}`;
  }
  return found.reverse();
}

/**
 * Entries as they come, from behind a place on; ends when the signal aborts. Following has a
 * connection of its own, which waits while Redis is away.
 * @param after a `place` out of `readLogs`; without it only what comes from now on.
 */
export async function* followLogs(
  redis: Redis,
  ref: FunctionRef,
  filter: LogFilter & { after?: string | undefined; signal: AbortSignal },
): AsyncGenerator<PlacedEntry> {
  // Its command waits for as long as nothing is written.
  const own = connectionLike(
    redis,
    { ...PATIENT, commandTimeout: undefined, lazyConnect: false },
    FOLLOW_BLOCK_SECONDS,
  );
  const stop = (): void => own.disconnect();
  filter.signal.addEventListener("abort", stop, { once: true });
  try {
    let after = filter.after ?? (await newestPlace(redis, ref));
    while (!filter.signal.aborted) {
      const page = await own.xread(
        "COUNT",
        READ_PAGE,
        "BLOCK",
        FOLLOW_BLOCK_SECONDS * 1_000,
        "STREAMS",
        streamKey(ref),
        after,
      );
      const [, entries = []] = page?.[0] ?? [];
      for await (const placed of entriesOf(own, entries, filter)) {
        yield* placed.filter(({ entry }) => passes(entry, filter));
      }
      after = entries.at(-1)?.[0] ?? after;
    }
  } catch (error) {
    if (!filter.signal.aborted) throw error;
  } finally {
    filter.signal.removeEventListener("abort", stop);
    own.disconnect();
  }
}

/**
 * The place of the latest entry there is, from behind which everything can be followed that is
 * written from now on.
 */
export async function newestPlace(redis: Redis, ref: FunctionRef): Promise<string> {
  const [newest] = await redis.xrevrange(streamKey(ref), "+", "-", "COUNT", 1);
  return newest?.[0] ?? "0-0";
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
