/** Refuses a Redis that loses what it is given: one that evicts keys, or keeps nothing on disk. */
import { type Redis, ReplyError } from "ioredis";
import type { Logger } from "./log.ts";
import { UnfitError } from "./service.ts";

/** Faults that SANDPIPER_ALLOW_REDIS may allow, by name. */
export const REDIS_FAULTS = ["evicting", "in-memory"] as const;
export type RedisFaultName = (typeof REDIS_FAULTS)[number];

export interface RedisFault {
  name: RedisFaultName;
  /** The fault, and what comes of it. */
  message: string;
  /** Advice: how to mend it. */
  hint: string;
}

export interface RedisFindings {
  faults: RedisFault[];
  /** Settings that this Redis does not tell, in the words of its configuration file. */
  untold: string[];
}

export interface DurabilityOptions {
  allowed: readonly RedisFaultName[];
  log: Logger;
  /** Aborted when Redis has to be there at last. */
  signal?: AbortSignal;
}

/** Code of the error for a Redis that loses data; its message names each fault and what to do. */
const CODE = "REDIS_LOSES_DATA";

/**
 * Waits for Redis and checks that it keeps what it is given. From then on it is checked again
 * whenever it was away, as another one may answer: then the log says what is wrong, since calls are
 * in course.
 * @throws UnfitError with the code REDIS_LOSES_DATA for a fault that is not allowed; Error when
 * Redis is not there in time
 */
export async function requireDurableRedis(redis: Redis, options: DurabilityOptions): Promise<void> {
  const { allowed, log, signal } = options;
  await untilReady(redis, signal);
  const refused = report(await findRedisFaults(redis), allowed, log);
  if (refused.length > 0) {
    const reasons = refused.map(({ message, hint }) => `${message}; ${hint}`);
    throw Object.assign(new UnfitError(reasons.join("\n")), { code: CODE });
  }
  redis.on("ready", () => {
    const again = findRedisFaults(redis).then((findings) => {
      for (const { message, hint } of report(findings, allowed, log)) log.error(message, { code: CODE, hint });
    });
    // Away once more: the next time that it is back it is asked again.
    again.catch(() => {});
  });
}

/** Resolves when Redis is there, however often a connection failed before. */
function untilReady(redis: Redis, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (redis.status === "ready") return resolve();
    let reason = "";
    // It may be there and want a password.
    const note = ({ message }: Error) => (reason = `: ${message}`);
    redis.on("error", note);
    redis.once("ready", () => resolve(void redis.off("error", note)));
    const late = () => reject(new Error(`Redis is not there, where REDIS_URL says that it is${reason}`));
    signal?.addEventListener("abort", late, { once: true });
  });
}

/** Says what is allowed or cannot be known; gives what is left. */
function report({ faults, untold }: RedisFindings, allowed: readonly RedisFaultName[], log: Logger): RedisFault[] {
  if (untold.length > 0) log.warn("Redis does not tell whether it keeps what it is given", { untold });
  for (const { name, message } of faults)
    if (allowed.includes(name)) log.warn(message, { allowed: `SANDPIPER_ALLOW_REDIS=${name}` });
  return faults.filter(({ name }) => !allowed.includes(name));
}

/**
 * The faults of a Redis. INFO tells most of it, and CONFIG, which hosted ones refuse, the rest.
 * @throws Error when Redis is away
 */
export async function findRedisFaults(redis: Redis): Promise<RedisFindings> {
  const [memory, persistence] = [await info(redis, "memory"), await info(redis, "persistence")];
  const policy = memory("maxmemory_policy") ?? (await setting(redis, "maxmemory-policy"));
  const appends = yes(persistence("aof_enabled")) ?? yes(await setting(redis, "appendonly"));
  const savePoints = appends === true ? null : await setting(redis, "save");
  const findings: RedisFindings = { faults: [], untold: [] };
  if (policy === null) findings.untold.push("maxmemory-policy");
  else if (policy !== "noeviction") findings.faults.push(evicting(policy));
  if (appends !== true && savePoints === "") findings.faults.push(IN_MEMORY);
  if (appends !== true && savePoints === null) findings.untold.push("appendonly", "save");
  return findings;
}

function evicting(policy: string): RedisFault {
  return {
    name: "evicting",
    message: `Redis has maxmemory-policy ${policy}: when its memory is full it drops queued calls, functions and keys`,
    hint: "set it to noeviction, or allow it by SANDPIPER_ALLOW_REDIS=evicting",
  };
}

const IN_MEMORY: RedisFault = {
  name: "in-memory",
  message:
    "Redis keeps nothing on disk (appendonly no, no save points): when it ends, functions, keys and calls are gone",
  hint: "set appendonly to yes, or allow it by SANDPIPER_ALLOW_REDIS=in-memory",
};

/** Reads fields of a section of INFO; all are null where INFO is refused. */
async function info(redis: Redis, section: string): Promise<(field: string) => string | null> {
  const text = (await told(redis.info(section))) ?? "";
  return (field) => new RegExp(`^${field}:(.*?)\\r?$`, "m").exec(text)?.[1] ?? null;
}

/** A line of the configuration, or null where CONFIG is refused. */
async function setting(redis: Redis, name: string): Promise<string | null> {
  const answer = await told(redis.config("GET", name));
  const value: unknown = Array.isArray(answer) ? answer[1] : undefined;
  return typeof value === "string" ? value : null;
}

/** The answer of Redis, or null when it refuses the command. @throws Error when it is away */
async function told<T>(answer: Promise<T>): Promise<T | null> {
  return await answer.catch((error: unknown) => {
    if (error instanceof ReplyError) return null;
    throw error;
  });
}

function yes(value: string | null): boolean | null {
  return value === null ? null : value === "1" || value === "yes";
}
