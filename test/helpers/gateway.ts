/**
 * A real gateway on a real port and a real Redis, with the worker's side of the queue in the hands
 * of the test.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Redis } from "ioredis";
import type { BuildRequest, BuildResult } from "../../functions/model/build.ts";
import type { CheckRequest, CheckResult } from "../../functions/model/check.ts";
import type { Invocation, Reply } from "../../functions/model/invocation.ts";
import { QUOTA_NAMES, type QuotaName } from "../../functions/model/quotas.ts";
import { FileArtifactStore } from "../../functions/store/artifacts.ts";
import { createKey } from "../../functions/store/tenant.ts";
import { takeBody } from "../../functions/transport/bodies.ts";
import { BodyFetcher } from "../../functions/transport/body-fetcher.ts";
import { BuildWorker } from "../../functions/transport/build-queue.ts";
import { CheckWorker } from "../../functions/transport/check-queue.ts";
import { ClaimAsker } from "../../functions/transport/claims.ts";
import { InvocationWorker } from "../../functions/transport/invocation-queue.ts";
import { ReplySender } from "../../functions/transport/reply-sender.ts";
import { startGateway } from "../../gateway/gateway.ts";
import type { Gateway, GatewayConfig, GatewayOptions } from "../../gateway/gateway-options.ts";
import { createLogger, type Logger } from "../../infra/log.ts";
import "./localhost.ts";
import { masterKeysOf } from "./master-keys.ts";
import { startRedis, type TestRedis } from "./redis.ts";
import { stretched } from "./slowness.ts";

/** Defaults under which everybody may have any number of everything. */
export const NO_QUOTAS = Object.fromEntries(QUOTA_NAMES.map((name) => [name, 0])) as Record<QuotaName, number>;

export type Head = Extract<Reply, { kind: "head" }>;

/** A test's answer to a call: parts of a head, or its own dealings with the sender. */
export type Answer = (
  invocation: Invocation,
  send: (reply: Reply) => void,
) => Partial<Head> | undefined | Promise<Partial<Head> | undefined>;

export interface TestGateway {
  redis: TestRedis;
  connection: Redis;
  gateway: Gateway;
  /** For one more gateway of the same Redis. */
  config: GatewayConfig;
  log: Logger;
  url: string;
  /** Where its artefact store is. */
  artifactsDir: string;
  /** An API key of the tenant "main". */
  key: string;
  /** What the worker's side does with calls; set it in a test. */
  answer: Answer;
  /** How many more calls it takes; say `worker.slotsChanged()` after a change. */
  slots: number;
  /** What it does with builds. */
  build: (request: BuildRequest) => Promise<BuildResult>;
  /** What it does with checks. */
  check: (request: CheckRequest) => Promise<CheckResult>;
  worker: InvocationWorker;
  sender: ReplySender;
  /** Gets the bodies that the gateway keeps. */
  bodies: BodyFetcher;
  /** All of a call's body, whichever way it comes; null when it has none, or it is lost. */
  bodyOf(invocation: Invocation): Promise<Buffer | null>;
  /** Lines that the gateway logged, and those about calls. */
  logged: string[];
  accessed: string[];
  /** A request to the control API with the key. */
  api(path: string, init?: RequestInit): Promise<Response>;
  /** Deploys a function of one file through the control API. */
  deploy(name: string, config?: Record<string, unknown>): Promise<Response>;
  stop(): Promise<void>;
}

const TIMING = { queueMs: 1, sandboxMs: 2, initMs: 3, handlerMs: 4 };

/** A head with the parts that are given, and plain ones for the rest. */
export function head(id: string, parts: Partial<Head> = {}): Head {
  return {
    kind: "head",
    id,
    outcome: "ok",
    status: 200,
    headers: [],
    timing: TIMING,
    start: "warm",
    streaming: false,
    body: new Uint8Array(0),
    ...parts,
  };
}

/** Starts all of it, with the function `hello` of the tenant `main` deployed. */
export async function startTestGateway(
  overrides: Partial<GatewayConfig> = {},
  options: GatewayOptions = {},
): Promise<TestGateway> {
  const redis = await startRedis();
  const dir = await mkdtemp(join(tmpdir(), "sp-gateway-"));
  const connection = redis.connect();
  const logged: string[] = [];
  const log = createLogger({ service: "gateway", level: "debug", write: (line) => logged.push(line) });
  const accessed: string[] = [];
  const access = createLogger({ service: "gateway", level: "info", write: (line) => accessed.push(line) });
  const config: GatewayConfig = {
    host: "127.0.0.1",
    port: 0,
    publicUrl: null,
    functionDomain: "localhost",
    gatewayHosts: [],
    dataDir: dir,
    replyAddress: null,
    artifactsDir: join(dir, "artifacts"),
    maxBodyBytes: 1024 * 1024,
    maxHeaderBytes: 16 * 1024,
    queueWaitMs: stretched(30_000),
    leaveMs: 0,
    accessLog: "failed",
    records: { keepMs: 86_400_000, maxBytes: 64 * 1024 * 1024 },
    trustedProxies: [],
    jwksPrivateNetworks: [],
    unlimitedClients: ["127.0.0.0/8"],
    maxClientConnections: 1_000,
    maxClientRequestsPerSecond: 2_000,
    bootstrapKeyFile: null,
    egress: { allow: "public", deny: [] },
    quotas: NO_QUOTAS,
    domains: { max: 100, resolver: null },
    keepVersions: 10,
    keepVersionsMs: 3_600_000,
    gcGraceMs: 3_600_000,
    gcIntervalMs: 0,
    uploadQuotaBytes: 0,
    masterKeys: masterKeysOf(),
    ...overrides,
  };
  const artifacts = new FileArtifactStore(config.artifactsDir);
  const gateway = await startGateway(config, connection, log, { ...options, access });
  const { key } = await createKey(connection, "main");
  const sender = new ReplySender(connection);
  const bodies = new BodyFetcher(connection);
  const claims = new ClaimAsker(connection);
  const worker = new InvocationWorker(connection, {
    freeSlots: () => test.slots,
    stillWaitedFor: (calls) => claims.stillWaitedFor(calls),
    async run(invocation) {
      const send = (reply: Reply) => sender.send(invocation.replyTo, reply);
      const parts = await test.answer(invocation, send);
      if (parts) send(head(invocation.id, parts));
    },
    async lost() {},
  });
  worker.start();
  const builds = new BuildWorker(connection, (request) => test.build(request));
  builds.start();
  const checks = new CheckWorker(connection, (request) => test.check(request));
  checks.start();
  const test: TestGateway = {
    redis,
    connection,
    gateway,
    config,
    log,
    url: `http://127.0.0.1:${gateway.port}`,
    artifactsDir: config.artifactsDir,
    key,
    answer: () => ({ body: Buffer.from("hello") }),
    slots: 100,
    build: async () => {
      const [bundle, sourceMap] = [await artifacts.put(Buffer.from("bundle")), await artifacts.put(Buffer.from("map"))];
      return { ok: true, bundle, sourceMap, bundleBytes: 6, warnings: [] };
    },
    check: async () => ({ ok: true, found: { handler: "fetch", warnings: [] } }),
    worker,
    sender,
    bodies,
    async bodyOf({ id, replyTo, request: { body } }) {
      if (body === null || !("ticket" in body)) return body && takeBody(connection, body);
      return (await bodies.fetch(replyTo, id, body.ticket)).all().catch(() => null);
    },
    logged,
    accessed,
    api: (path, init = {}) =>
      fetch(test.url + path, { ...init, headers: { authorization: `Bearer ${key}`, ...init.headers } }),
    deploy: (name, config = {}) =>
      test.api(`/v1/functions/${name}`, {
        method: "PUT",
        body: JSON.stringify(deployment(name, config)),
        headers: { "content-type": "application/json" },
      }),
    async stop() {
      await Promise.all([worker.close(), builds.close(), checks.close()]);
      claims.close();
      bodies.close();
      await gateway.stop();
      await redis.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
  const deployed = await test.deploy("hello");
  if (!deployed.ok) throw new Error(await deployed.text());
  return test;
}

/** The body of a deployment of one file. */
export function deployment(name: string, config: Record<string, unknown> = {}) {
  return {
    config: { name, ...config },
    entry: "index.ts",
    files: [{ path: "index.ts", contentBase64: Buffer.from("export default () => new Response()").toString("base64") }],
  };
}

/** A raw connection: what is sent and received byte for byte. */
export class RawClient {
  readonly socket: Socket;
  received = "";
  #wake = () => {};

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.socket = connect(Number(port), hostname);
    this.socket.setEncoding("latin1");
    this.socket.on("data", (chunk) => {
      this.received += chunk;
      this.#wake();
    });
    this.socket.on("close", () => this.#wake());
    this.socket.on("error", () => {});
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  /**
   * Resolves with all that came, as soon as the pattern is in it; rejects when the connection ends
   * first.
   */
  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.received)) {
      if (this.socket.destroyed) throw new Error(`The connection ended after: ${this.received}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.received;
  }

  /** Resolves with all that came when the connection has ended. */
  async ended(): Promise<string> {
    while (!this.socket.destroyed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.received;
  }

  close(): void {
    this.socket.destroy();
  }
}
