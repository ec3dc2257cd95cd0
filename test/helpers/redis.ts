/**
 * A real Redis for one test file: private, on a unix socket in a directory of its own, append-only.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis, type RedisOptions } from "ioredis";

export interface TestRedis {
  /** `unix://` URL of the socket. */
  readonly url: string;
  readonly dir: string;
  /** The server's process id; changes on `restart`. */
  readonly pid: number;
  /** A new connection that waits for the server; `stop` ends it. */
  connect(options?: Omit<RedisOptions, "replyMapping">): Redis;
  /** Kills the server with SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /**
   * Starts it again on the same socket and data, with other settings if given; resolves when it
   * answers.
   */
  restart(settings?: readonly string[]): Promise<void>;
  /** Ends connections and server and removes the directory. */
  stop(): Promise<void>;
}

/**
 * Starts a `redis-server` of one's own; resolves when it answers. Call `stop` in the test's
 * `after`.
 * @param settings lines of its configuration file, in place of ours
 */
export async function startRedis(settings: readonly string[] = []): Promise<TestRedis> {
  const dir = await mkdtemp(join(tmpdir(), "sp-redis-"));
  const socket = join(dir, "redis.sock");
  const connections = new Set<Redis>();
  let server = await startServer(dir, socket, settings);
  return {
    url: `unix://${socket}`,
    dir,
    get pid() {
      return server.pid as number;
    },
    connect(options = {}) {
      const redis = new Redis({ path: socket, maxRetriesPerRequest: null, retryStrategy: () => 50, ...options });
      redis.on("error", () => {});
      connections.add(redis);
      redis.once("end", () => connections.delete(redis));
      return redis;
    },
    kill: () => end(server, "SIGKILL"),
    async restart(others = settings) {
      server = await startServer(dir, socket, others);
    },
    async stop() {
      for (const redis of connections) redis.disconnect();
      await end(server, "SIGKILL");
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/**
 * `setpriv` ties the server's life to this process: a test that is killed leaves no Redis behind.
 */
async function startServer(dir: string, socket: string, settings: readonly string[]): Promise<ChildProcess> {
  const server = spawn(
    "setpriv",
    ["--pdeathsig", "KILL", "redis-server", "-", "--port", "0", "--unixsocket", socket, "--dir", dir],
    { stdio: ["pipe", "pipe", "pipe"], cwd: dir },
  );
  const durable = ["appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction", "save ''"];
  server.stdin?.end(`${[...durable, ...settings].join("\n")}\n`);
  await ready(server);
  return server;
}

/** Resolves with the server's line that it accepts connections. */
function ready(server: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = "";
    const onData = (chunk: Buffer) => {
      output += chunk;
      if (/ready to accept connections/i.test(output)) {
        output = "";
        server.stdout?.off("data", onData).resume();
        resolve();
      }
    };
    server.stdout?.on("data", onData);
    server.stderr?.on("data", onData);
    server.once("error", reject);
    server.once("exit", (code) => reject(new Error(`redis-server ended with ${code} before it was ready:\n${output}`)));
  });
}

async function end(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  server.kill(signal);
  await once(server, "exit");
}
