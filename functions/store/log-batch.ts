/**
 * Entries of functions' logs on their way to Redis. Nobody waits for them, so what comes within
 * some milliseconds goes in one write, with one run of a script for each function.
 */
import type { ChainableCommander, Redis, Result } from "ioredis";
import { MIB } from "../../infra/std/bytes.ts";
import { type EntryKind, type RecordLimits, WRITE } from "./log-script.ts";

/** A function's log, and the name that its records go by. */
export interface LogKeys {
  stream: string;
  name: string;
}

/** A line of a log, or with an id the record of an invocation. */
export interface NewEntry {
  kind: EntryKind;
  id?: string;
  text: string;
}

const GATHER_MS = 10;
/** Most entries that one run of the script writes: Redis does nothing else meanwhile. */
const MAX_ENTRIES_PER_RUN = 64;

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

/** A week, and room for about 440,000 calls. */
const DEFAULT_LIMITS: RecordLimits = { keepMs: 7 * 24 * 3_600_000, maxBytes: 256 * MIB };
const limitsOf = new WeakMap<Redis, RecordLimits>();

/** Sets how long this connection keeps records, and most bytes that all may take. */
export function limitRecords(redis: Redis, limits: RecordLimits): void {
  limitsOf.set(redis, limits);
}

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
    redis.defineCommand("sandpiperWriteLog", { numberOfKeys: 1, lua: WRITE });
  }
  const limits = limitsOf.get(redis) ?? DEFAULT_LIMITS;
  const pipeline = redis.pipeline();
  const runs = [...batch.values()].flatMap(({ keys, waiting }) => queueRuns(pipeline, keys, limits, waiting));
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

function queueRuns(
  pipeline: ChainableCommander,
  { stream, name }: LogKeys,
  { keepMs, maxBytes }: RecordLimits,
  waiting: Waiting[],
): Waiting[][] {
  const runs: Waiting[][] = [];
  for (let from = 0; from < waiting.length; from += MAX_ENTRIES_PER_RUN) {
    const run = waiting.slice(from, from + MAX_ENTRIES_PER_RUN);
    const entries = run.flatMap(({ entry }) => [entry.kind, entry.id ?? "", entry.text]);
    pipeline.sandpiperWriteLog(stream, name, keepMs, maxBytes, ...entries);
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
