/**
 * The private Redis of one data directory: no port, a socket that only its owner may open, an
 * append-only file.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Redis } from "ioredis";
import type { Environment } from "../environment.ts";
import { connectRedis } from "../redis.ts";
import { findRedisFaults, type RedisFaultName } from "../redis-durability.ts";
import { redactRedisUrl } from "../redis-url.ts";
import { settledWithin } from "../std/time.ts";
import type { DataDir } from "./data-dir.ts";
import { UpError } from "./failure.ts";
import { hintFor } from "./hints.ts";
import { findOnPath } from "./path-search.ts";
import type { Program } from "./supervisor.ts";

/** GETDEL came with 6.2. */
const OLDEST_VERSION = [6, 2] as const;
/** The first version whose append-only file is a directory of files. */
const FIRST_WITH_DIRECTORY = 7;
/** Only a host that answers nothing at all takes as long; the machine itself may be busy. */
const PING_TIMEOUT_MS = 15_000;

/** @param executable path of redis-server. */
export function redisProgram(executable: string, dir: DataDir, env: Environment): Program {
  return {
    name: "private Redis",
    spawn: () => spawnRedis(executable, dir, env),
    ready: saysReady,
  };
}

function spawnRedis(executable: string, dir: DataDir, env: Environment): ChildProcess {
  // A killed parent cannot end its child, so the kernel does: SIGTERM makes Redis write and leave.
  // See prctl(2), PR_SET_PDEATHSIG.
  const setpriv = findOnPath("setpriv", env.PATH);
  const [command, ...args] = setpriv ? [setpriv, "--pdeathsig", "TERM", executable, "-"] : [executable, "-"];
  const child = spawn(command as string, args, {
    cwd: dir.redisDir,
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.on("error", () => {});
  child.stdin.end(redisConfig(dir));
  return child;
}

/**
 * Redis's configuration file, given on its standard input. Paths are quoted as sdssplitargs reads
 * them.
 */
function redisConfig(dir: DataDir): string {
  return [
    "port 0",
    `unixsocket ${JSON.stringify(dir.redisSocket)}`,
    "unixsocketperm 700",
    `dir ${JSON.stringify(dir.redisDir)}`,
    "daemonize no",
    "appendonly yes",
    "appendfsync everysec",
    'save ""',
    "maxmemory-policy noeviction",
    "always-show-logo no",
    "",
  ].join("\n");
}

/** Resolves when Redis has read its append-only file and accepts connections. */
async function saysReady(child: ChildProcess): Promise<void> {
  let tail = "";
  const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      tail = (tail + chunk).slice(-4_000);
      if (/ready to accept connections/i.test(tail)) resolve();
    });
  }
  child.once("exit", () => {
    const words = tail.trim().split("\n").slice(-5).join("\n  ");
    const hint = hintFor(words) ?? "put that right, then start again";
    reject(new UpError(`Redis could not start. Its last words:\n  ${words}`, hint));
  });
  await ready;
}

/**
 * Checks that this redis-server finds what an earlier one left. Before version 7 it looks for an
 * append-only file of another name, and would begin anew without a word.
 * @throws UpError when it would not
 */
export async function checkRedisData(executable: string, { redisDir, path }: DataDir): Promise<void> {
  if (!existsSync(join(redisDir, "appendonlydir"))) return;
  const { stdout } = await promisify(execFile)(executable, ["--version"]);
  const [, version = "", major = ""] = /\bv=((\d+)\S*)/.exec(stdout) ?? [];
  if (major === "" || Number(major) >= FIRST_WITH_DIRECTORY) return;
  throw new UpError(
    `the data in ${redisDir} was written by Redis ${FIRST_WITH_DIRECTORY} or newer, and ${executable} is version ${version}, which would not find it`,
    `install Redis ${FIRST_WITH_DIRECTORY} or newer; to begin anew instead, choose another directory than ${path}: npm start -- --data DIR`,
  );
}

/**
 * Checks the Redis that REDIS_URL names.
 * @param allowed faults that are accepted (redis-durability.ts)
 * @returns what is worth a warning
 * @throws UpError when it does not answer within 15 s, is too old, or loses what it is given
 */
export async function checkRedis(url: string, allowed: readonly RedisFaultName[]): Promise<string[]> {
  const redis = connectRedis(url, "sandpiper-start");
  try {
    let failure: Error | undefined;
    redis.on("error", (error: Error) => {
      failure = error;
    });
    const refused = (error: Error) => {
      failure ??= error;
      return null;
    };
    const info = await settledWithin(PING_TIMEOUT_MS, redis.info("server").catch(refused));
    if (info === null) throw unreachable(url, failure ?? new Error(`no answer within ${PING_TIMEOUT_MS / 1000} s`));
    checkVersion(info);
    return await durabilityWarnings(redis, allowed);
  } finally {
    redis.disconnect();
  }
}

function checkVersion(info: string): void {
  const version = /^redis_version:(\S+)/m.exec(info)?.[1] ?? "0";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > OLDEST_VERSION[0] || (major === OLDEST_VERSION[0] && minor >= OLDEST_VERSION[1])) return;
  throw new UpError(
    `the Redis of REDIS_URL is version ${version}; Sandpiper needs ${OLDEST_VERSION.join(".")} or newer`,
    "update it, or unset REDIS_URL to have a private one started",
  );
}

/** Faults that are allowed or cannot be known. @throws UpError for what is not allowed */
async function durabilityWarnings(redis: Redis, allowed: readonly RedisFaultName[]): Promise<string[]> {
  const { faults, untold } = await findRedisFaults(redis);
  const refused = faults.filter(({ name }) => !allowed.includes(name));
  if (refused.length > 0) {
    const [messages, hints] = [refused.map(({ message }) => message), refused.map(({ hint }) => hint)];
    throw new UpError(`the Redis of REDIS_URL would lose what it is given:\n${messages.join("\n")}`, hints.join("\n"));
  }
  const unknown = `the Redis of REDIS_URL does not tell ${untold.join(", ")}: it may lose what it is given`;
  return [...faults.map(({ message }) => message), ...(untold.length > 0 ? [unknown] : [])];
}

function unreachable(url: string, cause: Error): UpError {
  return new UpError(
    `the Redis of REDIS_URL (${redactRedisUrl(url)}) cannot be reached: ${cause.message || (cause as NodeJS.ErrnoException).code}`,
    "start it, correct REDIS_URL, or unset REDIS_URL to have a private one started",
    { cause },
  );
}
