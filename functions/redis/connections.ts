/** How gateways and workers behave while Redis is away. */
import { once } from "node:events";
import type { Redis, RedisOptions } from "ioredis";
import { linkOf } from "./link.ts";

/** Longest time that Redis may take for one command of a gateway. */
const GATEWAY_COMMAND_MS = 1_500;

/**
 * A gateway must know at once: nothing waits for a connection, nothing is sent again behind its
 * back.
 */
export const FAIL_FAST: Partial<RedisOptions> = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  commandTimeout: GATEWAY_COMMAND_MS,
};
/**
 * A worker has time: what it says of a job may be said when Redis is back, and may be said twice.
 */
export const PATIENT: Partial<RedisOptions> = {
  enableOfflineQueue: true,
  maxRetriesPerRequest: null,
  autoResendUnfulfilledCommands: true,
};
/**
 * A command that may be done once only is not sent again when it may have been done: it fails as
 * soon as the connection breaks.
 */
export const NEVER_TWICE: Partial<RedisOptions> = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
};

/**
 * One more connection to the same Redis, which belongs to the same link. Whoever made the first
 * reports what becomes of Redis.
 * @param waitSeconds for how long its commands have Redis wait before it answers.
 */
export function connectionLike(redis: Redis, options: Partial<RedisOptions>, waitSeconds = 0): Redis {
  const connection = redis.duplicate(options);
  // An emitter without a listener for errors would end the process.
  connection.on("error", () => {});
  linkOf(redis).add(connection, waitSeconds);
  return connection;
}

/**
 * Whether a failed command failed because Redis did not answer, rather than because of what was
 * asked.
 */
export function isRedisAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return AWAY_NAMES.has(error.name) || AWAY_MESSAGE.test(error.message) || AWAY_CODES.has(codeOf(error));
}

const AWAY_NAMES = new Set(["MaxRetriesPerRequestError"]);
const AWAY_CODES = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE", "ENOENT", "ETIMEDOUT"]);
const AWAY_MESSAGE =
  /^(?:Command timed out|Connection is closed|Stream isn't writeable|LOADING |Socket timeout|Connection is in closing)/;

function codeOf(error: Error): string {
  return "syscall" in error && error.syscall === "connect" && "code" in error ? String(error.code) : "";
}

/**
 * Has a connection write at the end of this turn of the event loop, in one system call, what it is
 * given until then.
 */
export function sendTogether({ stream }: Redis): void {
  if (stream === undefined || stream.writableCorked > 0) return;
  stream.cork();
  setImmediate(() => stream.uncork());
}

/** Resolves when commands can be sent. */
export async function whenReady(redis: Redis): Promise<void> {
  if (redis.status !== "ready") await once(redis, "ready");
}
