/**
 * Entries of functions' logs on their way to Redis. Nobody waits for them, so what comes within
 * some milliseconds goes in one write, with one run of a script for each function.
 */
import type { ChainableCommander, Redis, Result } from "ioredis";

/** Where a function's log is. */
export interface LogKeys {
  stream: string;
  /** The list of the invocations that have a record, latest first. */
  ids: string;
}

/** An entry: a line of a log, or with an id the record of an invocation. */
export interface NewEntry {
  id?: string;
  text: string;
}

export const RECORD_PREFIX = "sp:record:";
/** About how many entries a function's stream keeps. */
const MAX_STREAM_ENTRIES = 5_000;
/** How many records of invocations a function keeps at least; older ones are forgotten. */
const MAX_RECORDS = 1_000;
const KEEP_MS = 7 * 24 * 3_600_000;
/** How long a forgotten record still keeps its invocation from being recorded again. */
const FORGOTTEN_KEEP_MS = 60_000;
const GATHER_MS = 10;
/** Most entries that one run of the script writes: Redis does nothing else meanwhile. */
const MAX_ENTRIES_PER_RUN = 64;

/**
 * KEYS: stream, list of ids. ARGV: key prefix of records, keep ms, entries, records, ms that a
 * forgotten one is kept, then the entries, each an id, or nothing, and a text. Gives 1 for each
 * that was written now, and 0 for each whose invocation had a record.
 *
 * The oldest record makes way for the new one: its key keeps an empty text for a while, so that a
 * second record of the same invocation is still refused, and costs next to nothing.
 */
const WRITE = `
local written, recorded = {}, {}
for at = 6, #ARGV, 2 do
  local id, text = ARGV[at], ARGV[at + 1]
  local new = id == "" or redis.call("SET", ARGV[1] .. id, text, "NX", "PX", ARGV[2])
  if new then redis.call("XADD", KEYS[1], "*", id == "" and "l" or "e", text) end
  if new and id ~= "" then recorded[#recorded + 1] = id end
  written[#written + 1] = new and 1 or 0
end
redis.call("XTRIM", KEYS[1], "MAXLEN", "~", ARGV[3])
redis.call("PEXPIRE", KEYS[1], ARGV[2])
if #recorded == 0 then return written end
local surplus = redis.call("LPUSH", KEYS[2], unpack(recorded)) - tonumber(ARGV[4])
redis.call("PEXPIRE", KEYS[2], ARGV[2])
if surplus <= 0 then return written end
for _, id in ipairs(redis.call("RPOP", KEYS[2], surplus)) do
  redis.call("SET", ARGV[1] .. id, "", "XX", "PX", ARGV[5])
end
return written`;
const SETTINGS = [RECORD_PREFIX, KEEP_MS, MAX_STREAM_ENTRIES, MAX_RECORDS, FORGOTTEN_KEEP_MS];

declare module "ioredis" {
  interface RedisCommander<Context> {
    sandpiperWriteLog(...args: (string | number)[]): Result<number[], Context>;
  }
}

interface Waiting {
  entry: NewEntry;
  resolve: (written: boolean) => void;
  reject: (error: unknown) => void;
}

/** The entries that go next on a connection, by stream. */
type Batch = Map<string, { keys: LogKeys; waiting: Waiting[] }>;

const open = new WeakMap<Redis, Batch>();

/**
 * Writes an entry with the others of the moment; those of one function in order.
 * @returns false when the invocation has a record already, which then stays as it is.
 * @throws what ioredis throws when Redis does not answer.
 */
export function writeEntry(redis: Redis, keys: LogKeys, entry: NewEntry): Promise<boolean> {
  const batch = open.get(redis) ?? openBatch(redis);
  let part = batch.get(keys.stream);
  if (part === undefined) {
    part = { keys, waiting: [] };
    batch.set(keys.stream, part);
  }
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  part.waiting.push({ entry, resolve, reject });
  return promise;
}

function openBatch(redis: Redis): Batch {
  const batch: Batch = new Map();
  open.set(redis, batch);
  setTimeout(() => {
    open.delete(redis);
    void send(redis, batch);
  }, GATHER_MS);
  return batch;
}

async function send(redis: Redis, batch: Batch): Promise<void> {
  // Defined once: ioredis then sends its hash rather than its text. A pipeline knows what was
  // defined before it.
  if (!Object.hasOwn(redis, "sandpiperWriteLog")) {
    redis.defineCommand("sandpiperWriteLog", { numberOfKeys: 2, lua: WRITE });
  }
  const pipeline = redis.pipeline();
  const runs = [...batch.values()].flatMap(({ keys, waiting }) => queueRuns(pipeline, keys, waiting));
  try {
    const replies = await pipeline.exec();
    for (const [index, run] of runs.entries()) {
      const [error, written] = replies?.[index] ?? [new Error("Redis gave no reply."), []];
      settle(run, error, written as number[]);
    }
  } catch (error) {
    for (const run of runs) settle(run, error, []);
  }
}

function queueRuns(pipeline: ChainableCommander, { stream, ids }: LogKeys, waiting: Waiting[]): Waiting[][] {
  const runs: Waiting[][] = [];
  for (let from = 0; from < waiting.length; from += MAX_ENTRIES_PER_RUN) {
    const run = waiting.slice(from, from + MAX_ENTRIES_PER_RUN);
    const entries = run.flatMap(({ entry }) => [entry.id ?? "", entry.text]);
    pipeline.sandpiperWriteLog(stream, ids, ...SETTINGS, ...entries);
    runs.push(run);
  }
  return runs;
}

function settle(run: readonly Waiting[], error: unknown, written: readonly number[]): void {
  for (const [index, { resolve, reject }] of run.entries()) {
    if (error) reject(error);
    else resolve(written[index] === 1);
  }
}
