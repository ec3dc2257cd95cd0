/**
 * Entries of a function's stream in Redis as entries of its log. A line and the record of a call
 * that failed are in the stream; of calls that went well their ids are, and the records elsewhere.
 */
import type { Redis } from "ioredis";
import type { InvocationRecord, LogEntry, LogRecord } from "../model/record.ts";
import { hashOf } from "./log-script.ts";

/** An entry and its place in the stream. Calls that were recorded together share a place. */
export interface PlacedEntry {
  place: string;
  entry: LogEntry;
}

type StreamEntry = [place: string, fields: string[]];

/** About as many records are asked for at once, however many a page of the stream tells of. */
const PORTION = 512;

/**
 * The log's entries that a page of a stream stands for, in its order and in portions. Calls that
 * went well and whose records have made way are left out.
 * @param invocationId of other calls that went well nothing is given
 * @param isNewestFirst the order of the page
 */
export async function* entriesOf(
  redis: Redis,
  page: readonly StreamEntry[],
  { invocationId, isNewestFirst = false }: { invocationId?: string; isNewestFirst?: boolean },
): AsyncGenerator<PlacedEntry[]> {
  let portion: [place: string, field: string, texts: string[]][] = [];
  let wanted = 0;
  for (const [index, [place, [field = "", text = ""]]] of page.entries()) {
    const texts = field === "o" ? text.split(" ") : [text];
    const own = field === "o" && invocationId !== undefined ? texts.filter((id) => id === invocationId) : texts;
    portion.push([place, field, isNewestFirst ? own.reverse() : own]);
    wanted += own.length;
    if (wanted < PORTION && index < page.length - 1) continue;
    yield await resolve(redis, portion);
    [portion, wanted] = [[], 0];
  }
}

async function resolve(redis: Redis, portion: [place: string, field: string, texts: string[]][]) {
  const records = await recordsOf(
    redis,
    portion.flatMap(([, field, ids]) => (field === "o" ? ids : [])),
  );
  return portion.flatMap(([place, field, texts]): PlacedEntry[] => {
    if (field === "l") return texts.map((text) => ({ place, entry: JSON.parse(text) as LogRecord }));
    const known = field === "o" ? texts.map((id) => records.get(id)) : field === "e" ? texts : [];
    return known.flatMap((text) => (text ? [{ place, entry: { end: JSON.parse(text) as InvocationRecord } }] : []));
  });
}

/** Texts of records of calls that went well, by id. */
async function recordsOf(redis: Redis, ids: readonly string[]): Promise<Map<string, string | null>> {
  const hashes = [...Map.groupBy(ids, hashOf)];
  if (hashes.length === 0) return new Map();
  const pipeline = redis.pipeline();
  for (const [hash, own] of hashes) pipeline.hmget(hash, ...own);
  const replies = (await pipeline.exec()) ?? [];
  const found = hashes.flatMap(([, own], index) => {
    const [error, texts] = replies[index] ?? [null, []];
    if (error) throw error;
    return own.map((id, at) => [id, (texts as (string | null)[])[at] ?? null] as const);
  });
  return new Map(found);
}
