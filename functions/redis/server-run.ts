/** The process of Redis that a connection leads to. */
import type { Redis } from "ioredis";

/** One life of a Redis, from its start to its end. */
export interface ServerRun {
  /** Redis's own name for it, which does not come again. */
  id: string;
  /** Its start by Redis's clock, a Unix time in milliseconds; true to two seconds. */
  startedAtMs: number;
}

/**
 * Asks Redis. null when it does not say, as some hosted ones do.
 * @throws what ioredis throws when Redis does not answer.
 */
export async function askServerRun(redis: Redis): Promise<ServerRun | null> {
  const info = await redis.info("server");
  const field = (name: string): string | undefined => new RegExp(`^${name}:(\\w+)\\r?$`, "m").exec(info)?.[1];
  const [id, uptime, now] = [field("run_id"), field("uptime_in_seconds"), field("server_time_usec")];
  if (id === undefined || uptime === undefined) return null;
  const nowMs = now === undefined ? await timeOf(redis) : Number(now) / 1_000;
  return { id, startedAtMs: nowMs - Number(uptime) * 1_000 };
}

async function timeOf(redis: Redis): Promise<number> {
  const [seconds, microseconds] = await redis.time();
  return Number(seconds) * 1_000 + Number(microseconds) / 1_000;
}

/** Keeps in mind which run a connection leads to now. */
export class RunOfConnection {
  #current: ServerRun | null = null;
  #asked: Promise<void> = Promise.resolve();

  constructor(redis: Redis) {
    const ask = (): void => {
      this.#asked = this.#ask(redis);
    };
    redis.on("ready", ask);
    redis.on("close", () => {
      this.#current = null;
    });
    if (redis.status === "ready") ask();
  }

  /** null while it is not known. */
  get current(): ServerRun | null {
    return this.#current;
  }

  /** The run, as soon as Redis has answered; null when it did not. Never rejects. */
  async known(): Promise<ServerRun | null> {
    await this.#asked;
    return this.#current;
  }

  async #ask(redis: Redis): Promise<void> {
    const { stream } = redis;
    const run = await askServerRun(redis).catch(() => null);
    if (redis.stream === stream && redis.status === "ready") this.#current = run;
  }
}
