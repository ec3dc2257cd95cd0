/** Which workers are alive: each beats every second or so, and is gone when it has not for five. */
import type { Redis } from "ioredis";

/** A worker's facts, as it tells them itself. */
export interface WorkerInfo {
  id: string;
  host: string;
  pid: number;
  startedAtMs: number;
  /**
   * How it isolates: the launcher's kind, and the walls that its sandboxes do without, by name, as
   * it is allowed to.
   */
  posture: {
    launcher: string;
    degraded: string[];
    /** Why each sandbox starts a process of its own although forks are wanted. */
    fallback?: string;
  };
  /** Calls that it runs now, and how many more it would take. */
  running: number;
  room: number;
  /** Its sandboxes, counted by what they do. */
  pool?: Readonly<Record<string, number>>;
  /** How many milliseconds its machine's clock is ahead of Redis's. */
  clockAheadMs?: number;
}

/** On every span while sandboxes of a worker do without walls: their names. */
export const DEGRADED_ATTRIBUTE = "sandpiper.degraded";

/** How long a worker counts as alive after its last beat. */
export const WORKER_TTL_MS = 5_000;

/** All workers by the time of their last beat, so that nobody has to search the key space. */
const WORKERS = "sp:workers";
const workerKey = (id: string): string => `sp:worker:${id}`;

/** How long the name of a worker that beats no more is kept. */
const FORGET_MS = 60_000;

/**
 * KEYS: workers, worker. ARGV: id, facts, ms that the worker counts as alive, ms after which others
 * are forgotten. Redis's own clock says who was heard when: a worker's may be wrong.
 */
const BEAT = `
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call("SET", KEYS[2], ARGV[2], "PX", ARGV[3])
redis.call("ZADD", KEYS[1], now, ARGV[1])
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now - ARGV[4])`;

/** Says that a worker is alive. Call it well within `WORKER_TTL_MS`. */
export async function beat(redis: Redis, info: WorkerInfo): Promise<void> {
  await redis.eval(BEAT, 2, WORKERS, workerKey(info.id), info.id, JSON.stringify(info), WORKER_TTL_MS, FORGET_MS);
}

/** Says that a worker is leaving. */
export async function leave(redis: Redis, id: string): Promise<void> {
  await redis.multi().del(workerKey(id)).zrem(WORKERS, id).exec();
}

/** Whether a worker that beats no more has said that it leaves. */
export async function hasLeft(redis: Redis, id: string): Promise<boolean> {
  return (await redis.zscore(WORKERS, id)) === null;
}

/** Ids of the workers that said of late that they live, though some may be gone. */
export function workerIds(redis: Redis): Promise<string[]> {
  return redis.zrange(WORKERS, "0", "-1");
}

/** The walls that sandboxes of any of these workers do without. */
export function degradedWalls(workers: readonly WorkerInfo[]): string[] {
  return [...new Set(workers.flatMap(({ posture }) => posture.degraded))].sort();
}

/**
 * The workers that are alive: those whose key has not expired, so that Redis's clock alone decides.
 */
export async function listWorkers(redis: Redis): Promise<WorkerInfo[]> {
  const ids = await workerIds(redis);
  if (ids.length === 0) return [];
  const stored = await redis.mget(ids.map(workerKey));
  return stored.filter((text) => text !== null).map((text) => JSON.parse(text) as WorkerInfo);
}
