/**
 * A whole worker with real Redis, queue, artefact store and sandboxes, and in the gateway's place a
 * plain caller.
 */
import { createHash, randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BuildRequest, BuildResult } from "../../functions/model/build.ts";
import { DEFAULT_NODE_ENV } from "../../functions/model/bundling.ts";
import type { CheckResult } from "../../functions/model/check.ts";
import { statusOf } from "../../functions/model/errors.ts";
import type {
  BodyInTransit,
  Invocation,
  InvocationRecord,
  LogRecord,
  Outcome,
  PublicError,
  Reply,
} from "../../functions/model/invocation.ts";
import { type FunctionConfig, functionConfigSchema } from "../../functions/model/manifest.ts";
import { packSources } from "../../functions/model/sources.ts";
import { type Version, versionDigest } from "../../functions/model/version.ts";
import { FileArtifactStore } from "../../functions/store/artifacts.ts";
import { findInvocation, readLogs } from "../../functions/store/logs.ts";
import { Registry } from "../../functions/store/registry.ts";
import { putBody } from "../../functions/transport/bodies.ts";
import { BodyDesk } from "../../functions/transport/body-desk.ts";
import type { BodySource } from "../../functions/transport/body-source.ts";
import { BuildQueue } from "../../functions/transport/build-queue.ts";
import { CheckQueue } from "../../functions/transport/check-queue.ts";
import { ClaimAnswerer } from "../../functions/transport/claims.ts";
import { InvocationQueue } from "../../functions/transport/invocation-queue.ts";
import { ReplyReceiver } from "../../functions/transport/reply-receiver.ts";
import { loadConfig } from "../../infra/config.ts";
import { createLogger } from "../../infra/log.ts";
import { connectRedis } from "../../infra/redis.ts";
import { Worker } from "../../worker/worker.ts";
import { masterKeysOf } from "./master-keys.ts";
import { startRedis, type TestRedis } from "./redis.ts";
import { stretched } from "./slowness.ts";

/** Everything that came back for one call. */
export interface Answered {
  id: string;
  outcome: Outcome;
  status: number;
  headers: [string, string][];
  error: PublicError | undefined;
  start: string;
  streamed: boolean;
  body: Buffer;
  text: string;
}

export interface CallOptions {
  /** Of the invocation; a new one without. */
  id?: string;
  method?: string;
  path?: string;
  headers?: [string, string][];
  body?: string | Uint8Array;
  /** In place of `body`: what the gateway keeps of it. */
  source?: BodySource;
  expiresInMs?: number;
  traceparent?: string;
  /** Hears of every reply as it comes. */
  onReply?: (reply: Reply) => void;
}

type Files = Record<string, string | Uint8Array>;
type BuildSettings = Partial<Pick<BuildRequest, "directory" | "included" | "external" | "nodeEnv">>;

interface Waiting {
  replies: Reply[];
  resolve: (answered: Answered) => void;
  onReply: ((reply: Reply) => void) | undefined;
}

/**
 * Settings that keep tests small; uids are far from those of a platform that may run beside them.
 */
const SETTINGS = {
  SANDPIPER_UID_BASE: "2000000",
  SANDPIPER_UID_COUNT: "65536",
  SANDPIPER_PREWARMED: "1",
  SANDPIPER_STANDBY_ZYGOTES: "none",
  SANDPIPER_MAX_SANDBOXES: "8",
  SANDPIPER_MEMORY_BUDGET_BYTES: String(4 * 1024 * 1024 * 1024),
};

/** Settings of a build that wants nothing special. */
export const BUILD_DEFAULTS = { directory: "", included: [], external: [], nodeEnv: DEFAULT_NODE_ENV };

export class TestWorker {
  readonly redis: TestRedis;
  readonly worker: Worker;
  readonly artifacts: FileArtifactStore;
  /** Lines that the worker logged, parsed. */
  readonly logged: Record<string, unknown>[] = [];
  /** To its Redis. */
  readonly connection;
  readonly masterKeys = masterKeysOf();
  /** Keeps the bodies of calls that have a source. */
  readonly desk: BodyDesk;
  readonly #directory: string;
  readonly #queue: InvocationQueue;
  readonly #builds: BuildQueue;
  readonly #checks: CheckQueue;
  readonly #receiver: ReplyReceiver;
  readonly #claims: ClaimAnswerer;
  readonly #waiting = new Map<string, Waiting>();
  readonly #gatewayId = randomUUID();
  readonly #versions = new Map<string, Version>();

  private constructor(redis: TestRedis, directory: string, settings: Record<string, string>) {
    this.redis = redis;
    this.#directory = directory;
    const config = loadConfig({
      ...SETTINGS,
      SANDPIPER_DATA_DIR: directory,
      REDIS_URL: redis.url,
      SANDPIPER_WORKER_ID: `test-${randomUUID()}`,
      ...settings,
    });
    this.artifacts = new FileArtifactStore(config.artifactsDir);
    this.connection = connectRedis(redis.url, "test worker", { whileAway: "wait" });
    this.worker = new Worker({ ...config, masterKeys: this.masterKeys }, this.connection, this.#makeLogger());
    this.#queue = new InvocationQueue(redis.connect());
    this.#builds = new BuildQueue(redis.connect());
    this.#checks = new CheckQueue(redis.connect());
    this.desk = new BodyDesk(redis.connect());
    const places = { socketDir: join(directory, "replies"), address: null };
    const onReply = (reply: Reply) => this.#hear(reply);
    this.#receiver = new ReplyReceiver(redis.connect(), this.#gatewayId, onReply, places, this.desk);
    this.#claims = new ClaimAnswerer(redis.connect(), this.#gatewayId, (id) => this.#waiting.has(id));
  }

  /** @param settings environment variables of the worker. */
  static async start(settings: Record<string, string> = {}): Promise<TestWorker> {
    const directory = await mkdtemp(join(tmpdir(), "sp-worker-"));
    const test = new TestWorker(await startRedis(), directory, settings);
    await test.worker.start();
    await test.#receiver.ready;
    return test;
  }

  /** Keeps every line, and shows those that a failing test is explained by. */
  #makeLogger() {
    const write = (line: string) => {
      const parsed = JSON.parse(line) as Record<string, unknown>;
      this.logged.push(parsed);
      if (parsed.level === "error") process.stderr.write(line);
    };
    return createLogger({ service: "worker", level: "info", human: false, storms: null, write });
  }

  /** Has the worker make a bundle. */
  async build(files: Files, entry = "index.ts", settings: BuildSettings = {}, tenant = "main"): Promise<BuildResult> {
    return this.buildPacked(
      packSources(Object.entries(files).map(([path, bytes]) => ({ path, bytes: Buffer.from(bytes) }))),
      entry,
      settings,
      tenant,
    );
  }

  /** The same of bytes that claim to be a packed source tree. */
  async buildPacked(
    packed: Uint8Array,
    entry = "index.ts",
    settings: BuildSettings = {},
    tenant = "main",
  ): Promise<BuildResult> {
    const sourceDigest = await this.artifacts.sourcesOf(tenant).put(packed);
    const request = { ...BUILD_DEFAULTS, ...settings, sourceDigest, entry };
    return this.#builds.build({ tenant, functionName: "built", ...request });
  }

  /**
   * Builds and deploys a function; a text is its index.ts. @throws Error with the build's message.
   */
  async deploy(
    name: string,
    source: string | Files,
    settings: Partial<FunctionConfig> & { tenant?: string; included?: string[]; directory?: string } = {},
  ): Promise<Version> {
    const { tenant = "main", included = [], directory = "", ...given } = settings;
    const config = functionConfigSchema.parse({ timeoutMs: stretched(10_000), ...given, name });
    const files = typeof source === "string" ? { "index.ts": source } : source;
    const { external = [], env } = config;
    const nodeEnv = env.NODE_ENV ?? DEFAULT_NODE_ENV;
    const built = await this.build(files, config.entry, { included, directory, external, nodeEnv });
    if (!built.ok) throw new Error(built.message);
    const list = Object.entries(files).map(([path, bytes]) => ({
      path,
      bytes: bytes.length,
      sha256: createHash("sha256").update(bytes).digest("hex"),
    }));
    const { ok: _, warnings: __, ...made } = built;
    const version: Version = {
      ...{ tenant, functionName: name, config, entry: config.entry, files: list },
      ...{ ...made, createdAtMs: Date.now() },
      version: versionDigest(config, config.entry, list, { directory, included }),
    };
    const registry = new Registry(this.connection);
    await registry.putVersion(version);
    await registry.deployFunction(version);
    this.#versions.set(`${tenant}/${name}`, version);
    return version;
  }

  /** Has the worker check a version. */
  check(version: Version): Promise<CheckResult> {
    return this.#checks.check(version);
  }

  /** Calls a deployed function over the queue: "name" or "tenant/name". */
  async call(name: string, options: CallOptions = {}): Promise<Answered> {
    const version = this.#versions.get(name.includes("/") ? name : `main/${name}`);
    if (version === undefined) throw new Error(`${name} is not deployed`);
    const { method = "GET", path = "/", headers = [], expiresInMs = stretched(30_000) } = options;
    const { id = randomUUID() } = options;
    const invocation: Invocation = {
      ...{ tenant: version.tenant, functionName: version.functionName, version: version.version },
      id,
      replyTo: this.#gatewayId,
      request: {
        ...{ method, path, headers, remoteAddress: "127.0.0.1", url: `http://sandpiper.test/fn/main/${name}${path}` },
        body: await this.#inTransit(id, options),
      },
      enqueuedAtMs: Date.now(),
      expiresAtMs: Date.now() + expiresInMs,
      ...(options.traceparent !== undefined && { traceparent: options.traceparent }),
    };
    const { promise, resolve } = Promise.withResolvers<Answered>();
    this.#waiting.set(id, { replies: [], resolve, onReply: options.onReply });
    await this.#queue.submit(invocation);
    return promise;
  }

  async #inTransit(id: string, { body, source }: CallOptions): Promise<BodyInTransit | null> {
    if (source !== undefined) return { ticket: this.desk.issue(id, source), bytes: null };
    return body === undefined ? null : putBody(this.connection, Buffer.from(body), stretched(60_000));
  }

  /** The record of a call; waits for it, as it is written after the reply. */
  async record(id: string): Promise<InvocationRecord> {
    for (;;) {
      const record = await findInvocation(this.connection, "main", id);
      if (record !== null) return record;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** What a function logged in one call, once that is recorded. */
  async logs(name: string, id: string): Promise<LogRecord[]> {
    await this.record(id);
    const placed = await readLogs(
      this.connection,
      { tenant: "main", functionName: name },
      { invocationId: id, limit: 5_000 },
    );
    return placed.flatMap(({ entry }) => ("end" in entry ? [] : [entry]));
  }

  /** The text of what a call has logged until now. */
  async lines(name: string, id: string): Promise<string[]> {
    const ref = { tenant: "main", functionName: name };
    const placed = await readLogs(this.connection, ref, { invocationId: id, limit: 100 });
    return placed.flatMap(({ entry }) => ("end" in entry ? [] : [entry.text]));
  }

  /** Texts of the latest lines that a function logged, in calls or outside of them. */
  async lastLines(name: string): Promise<string[]> {
    const placed = await readLogs(this.connection, { tenant: "main", functionName: name }, { limit: 100 });
    return placed.flatMap(({ entry }) => ("end" in entry ? [] : [entry.text]));
  }

  /** Removes an artefact from the store behind everybody's back. */
  async forget(digest: string): Promise<void> {
    await rm(this.#pathOf(digest));
  }

  /** Writes other bytes over an artefact. */
  async damage(digest: string): Promise<void> {
    await writeFile(this.#pathOf(digest), "damaged");
  }

  #pathOf(digest: string): string {
    return join(this.#directory, "artifacts", digest.slice(0, 2), digest);
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    await this.worker.drain();
    await this.#queue.close();
    await this.#builds.close();
    await this.#checks.close();
    this.#receiver.close();
    this.desk.close();
    this.#claims.close();
    this.connection.disconnect();
    await this.redis.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }

  #hear(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    if (waiting === undefined) return;
    waiting.replies.push(reply);
    waiting.onReply?.(reply);
    if (reply.kind === "chunk" || (reply.kind === "head" && reply.streaming)) return;
    this.#waiting.delete(reply.id);
    // Nobody waits for the answer to a cancelled call.
    if (reply.outcome !== "cancelled") waiting.resolve(gather(waiting.replies));
  }
}

function gather(replies: Reply[]): Answered {
  const [head] = replies;
  const last = replies.at(-1);
  if (head?.kind !== "head" || last === undefined || last.kind === "chunk")
    throw new Error("replies came out of order");
  const pieces = replies.flatMap((reply) => (reply.kind === "end" ? [] : [reply.body, ...(reply.more ?? [])]));
  const body = Buffer.concat(pieces);
  return {
    ...{ id: head.id, outcome: last.outcome, headers: head.headers, error: last.error, start: head.start },
    status: last.error === undefined || head.streaming ? head.status : statusOf(last.error.code),
    streamed: head.streaming,
    body,
    text: body.toString("utf8"),
  };
}
