/** One way to connect to Redis, so that every process behaves alike when Redis goes away. */
import { Redis, type RedisOptions } from "ioredis";
import type { Logger } from "./log.ts";
import { parseRedisUrl, redactRedisUrl } from "./redis-url.ts";
import { backoffMs } from "./std/time.ts";

const RETRY = { firstMs: 50, longestMs: 500 };

export interface RedisConnectOptions {
  /**
   * The fate of commands while Redis is away. `fail` (the default): they are rejected as soon as an
   * attempt to connect fails, within about a second. `wait`: they wait for it to come back, as
   * BullMQ's workers and subscribers want.
   */
  whileAway?: "fail" | "wait";
  /** Told once when Redis goes away and once when it is back. */
  log?: Logger;
}

/**
 * A connection that heals itself: it tries again after 50 ms, then ever more slowly, at least twice
 * a second where it is refused. The connection is made in the background; await `ready` or just
 * send commands. End it with `quit()` or `disconnect()`.
 * @param name shown by Redis in CLIENT LIST.
 * @throws Error when the URL has no meaning.
 */
export function connectRedis(url: string, name: string, options: RedisConnectOptions = {}): Redis {
  const redis = new Redis(redisOptions(url, name, options.whileAway ?? "fail"));
  reportStateChanges(redis, options.log?.child({ redis: redactRedisUrl(url), connection: name }));
  return redis;
}

function redisOptions(url: string, name: string, whileAway: "fail" | "wait"): Omit<RedisOptions, "replyMapping"> {
  return {
    ...parseRedisUrl(url),
    connectionName: name,
    // Every failed attempt rejects what is waiting; null keeps it.
    maxRetriesPerRequest: whileAway === "fail" ? 0 : null,
    retryStrategy: (attempt) => backoffMs(attempt, RETRY),
    connectTimeout: 1_500,
    // Answered with LOADING, Redis is alive and reads its append-only file: ask again soon, not in
    // 10 s.
    maxLoadingRetryTime: RETRY.longestMs,
  };
}

/**
 * ioredis repeats its error for every attempt; one line when it goes and one when it is back tell
 * all there is.
 */
function reportStateChanges(redis: Redis, log: Logger | undefined): void {
  let away = false;
  let reason: string | undefined;
  redis.on("error", (error: Error) => {
    reason = error.message;
  });
  redis.on("reconnecting", () => {
    if (!away) log?.warn("Redis is away; trying again at least once a second", { reason });
    away = true;
  });
  redis.on("ready", () => {
    if (away) log?.info("Redis is back");
    away = false;
    reason = undefined;
  });
}
