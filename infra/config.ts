/**
 * The configuration of a gateway or worker process. Every variable is described in
 * docs/CONFIGURATION.md.
 */
import { hostname, totalmem } from "node:os";
import { resolve } from "node:path";
import { type EgressRelayConfig, egressRelayConfig } from "./egress-config.ts";
import { type Environment, EnvironmentReader } from "./environment.ts";
import { masterKeySource } from "./master-key-source.ts";
import type { MasterKeySource } from "./master-keys.ts";
import { REDIS_FAULTS, type RedisFaultName } from "./redis-durability.ts";
import { parseRedisUrl } from "./redis-url.ts";
import { KIB, MIB } from "./std/bytes.ts";

/** Timers of Node take 31 bits of milliseconds at most. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const DAY_MS = 24 * 3_600_000;
/** Longer than a deployment takes with all that it waits for, and a gateway remembers a version. */
const MOST_DEPLOY_MS = 600_000;
/** Unix user ids are 32 bits, and the highest one means "no user". */
const HIGHEST_UID = 4_294_967_294;

export interface WorkerConfig {
  /** Where the worker serves its figures: `address:port`, or `off`. */
  workerMetrics: string;
  /** Names this worker in logs and spans. */
  workerId: string;
  /** Most sandboxes at once, whatever their state. */
  maxSandboxes: number;
  /** Blank sandboxes kept ready. */
  prewarmed: number;
  /** Most memory that all sandboxes together may be promised. */
  memoryBudgetBytes: number;
  /** Most of its sandboxes and of its memory that a worker keeps warm, in percent. */
  warmPercent: number;
  /** How long an instance may stay loaded without a call. */
  idleMs: number;
  /** Sandboxes run as host users `uidBase` to `uidBase + uidCount - 1`, one user each. */
  uidBase: number;
  uidCount: number;
  /** `auto` takes `fork` where its self-test passes, else `exec`. */
  launcher: "auto" | "fork" | "exec";
  /** Walls of sandboxes that may be missing, by name, where this machine cannot put them up. */
  allowDegraded: readonly string[];
  /**
   * `shared`: one zygote for each memory class. `tenant`: one for each memory class of each tenant.
   */
  zygotes: "shared" | "tenant";
  /**
   * Which zygotes have a second one kept warm beside them: that of the class that most functions
   * use, all, or none.
   */
  standbyZygotes: "default" | "all" | "none";
  /** Most zygotes that serve at once. */
  maxZygotes: number;
  /** A zygote is replaced by a new one after so many forks, and after so long. */
  zygoteRenewal: { forks: number; ageMs: number };
  /**
   * Weight of all sandboxes of the machine together, of which one busy process has 100; null: what
   * fits the processors.
   */
  cpuWeight: number | null;
  egressRelay: EgressRelayConfig;
}

export interface Config {
  redisUrl: string;
  /** Faults of a Redis that would be refused otherwise. */
  allowRedis: readonly RedisFaultName[];
  dataDir: string;
  artifactsDir: string;
  host: string;
  /** 0: any free port. */
  port: number;
  /**
   * How clients reach the gateway, without a slash at its end; null: derive it from the address it
   * listens on.
   */
  publicUrl: string | null;
  /** Functions have the hosts `<function>.<tenant>.<functionDomain>`. */
  functionDomain: string;
  /** Further host names of the gateway itself; `*`: any that is no function's. */
  gatewayHosts: readonly string[];
  maxBodyBytes: number;
  maxHeaderBytes: number;
  /** Most bytes of a reply that is buffered, and of one that is streamed. */
  maxReplyBytes: number;
  maxStreamBytes: number;
  /** Addresses and networks of proxies whose `x-forwarded-for` and `-proto` are believed. */
  trustedProxies: readonly string[];
  /** Private networks in which issuers' keys may be fetched all the same. */
  jwksPrivateNetworks: readonly string[];
  /** Addresses and networks of clients that no limit of the next two concerns. */
  unlimitedClients: readonly string[];
  /** Most connections of one client's address, and requests in a second; 0: any number. */
  maxClientConnections: number;
  maxClientRequestsPerSecond: number;
  /** How long a call may wait for a worker. */
  queueWaitMs: number;
  /**
   * How long a gateway that is told to end serves on after it has said that it is not ready; 0: not
   * at all.
   */
  leaveMs: number;
  /** Where workers of other machines dial the gateway to send replies; null: nowhere. */
  replyAddress: { host: string; port: number } | null;
  /** Where the gateway serves its figures: `address:port`, or `off`. */
  gatewayMetrics: string;
  /** File with the key that whoever reads figures must send; null: none. */
  metricsKeyFile: string | null;
  /** How many functions have figures of their own. */
  metricsMaxFunctions: number;
  /** Which calls get a line in the gateway's log. */
  accessLog: "failed" | "all" | "off";
  /** How long records of calls are kept, and most bytes that all of them may take in Redis. */
  records: { keepMs: number; maxBytes: number };
  /** How long it is kept what functions used in an hour. */
  usageKeepMs: number;
  /** File with the API key that the gateway registers for the tenant `main` at its start. */
  bootstrapKeyFile: string | null;
  /** Where the master keys are; null when nobody said it. */
  masterKeySource: MasterKeySource | null;
  /**
   * Outgoing connections: what functions may declare whose tenant has no list of its own, and what
   * is denied to all. Whether these are rules is for others to check.
   */
  egress: { allow: "public" | "none"; deny: readonly string[] };
  /**
   * Domain names of tenants: most of each, and address and port of the resolver that is asked for
   * proofs; null: the machine's.
   */
  domains: { max: number; resolver: string | null };
  /** Limits of tenants for which the operator set no other; 0: any number. */
  quotas: ReturnType<typeof quotaConfig>;
  /** Most old versions of a function that are kept, and how long. */
  keepVersions: number;
  keepVersionsMs: number;
  /**
   * How long anything is kept that nobody needs, and how often that is collected; 0: never by
   * itself.
   */
  gcGraceMs: number;
  gcIntervalMs: number;
  /**
   * Most bytes that a tenant's deployments may write in the time for which unneeded files stay; 0:
   * any number.
   */
  uploadQuotaBytes: number;
  /** How long `npm start` lets a gateway or worker give no sign of life; 0: for ever. */
  hangLimitMs: number;
  worker: WorkerConfig;
}

/**
 * Configuration out of environment variables, defaults filled in. Paths are absolute.
 * @throws ConfigError naming every variable that is wrong.
 */
export function loadConfig(env: Environment = process.env): Config {
  const read = new EnvironmentReader(env);
  const dataDir = resolve(read.text("SANDPIPER_DATA_DIR") ?? ".sandpiper");
  const keyFile = read.text("SANDPIPER_BOOTSTRAP_KEY_FILE");
  const metricsKeyFile = read.text("SANDPIPER_METRICS_KEY_FILE");
  const config: Config = {
    redisUrl: redisUrl(read, dataDir),
    allowRedis: read.choices("SANDPIPER_ALLOW_REDIS", REDIS_FAULTS),
    dataDir,
    artifactsDir: resolve(read.text("SANDPIPER_ARTIFACTS_DIR") ?? `${dataDir}/artifacts`),
    host: read.text("SANDPIPER_HOST") ?? "127.0.0.1",
    port: read.integer("SANDPIPER_PORT", { fallback: 8787, min: 0, max: 65_535 }),
    publicUrl: read.httpUrl("SANDPIPER_PUBLIC_URL"),
    functionDomain: read.domain("SANDPIPER_FUNCTION_DOMAIN", "localhost"),
    gatewayHosts: read.hosts("SANDPIPER_GATEWAY_HOSTS"),
    maxBodyBytes: read.integer("SANDPIPER_MAX_BODY_BYTES", { fallback: 6 * MIB, min: 0, max: 1024 * MIB }),
    maxHeaderBytes: read.integer("SANDPIPER_MAX_HEADER_BYTES", { fallback: 16 * KIB, min: KIB, max: MIB }),
    maxReplyBytes: read.integer("SANDPIPER_MAX_REPLY_BYTES", { fallback: 6 * MIB, min: 0, max: 64 * MIB }),
    maxStreamBytes: read.integer("SANDPIPER_MAX_STREAM_BYTES", { fallback: 20 * MIB, min: 0 }),
    trustedProxies: read.networks("SANDPIPER_TRUSTED_PROXIES", []),
    jwksPrivateNetworks: read.networks("SANDPIPER_JWKS_PRIVATE_NETWORKS", []),
    unlimitedClients: read.networks("SANDPIPER_UNLIMITED_CLIENTS", ["127.0.0.0/8", "::1"]),
    maxClientConnections: read.integer("SANDPIPER_MAX_CLIENT_CONNECTIONS", { fallback: 1_000, min: 0 }),
    maxClientRequestsPerSecond: read.integer("SANDPIPER_MAX_CLIENT_REQUESTS_PER_SECOND", { fallback: 2_000, min: 0 }),
    queueWaitMs: read.integer("SANDPIPER_QUEUE_WAIT_MS", { fallback: 30_000, min: 1, max: 900_000 }),
    leaveMs: read.integer("SANDPIPER_LEAVE_MS", { fallback: 5_000, min: 0, max: 600_000 }),
    replyAddress: replyAddress(read),
    gatewayMetrics: metricsListener(read, "SANDPIPER_GATEWAY_METRICS", "127.0.0.1:9464"),
    metricsKeyFile: metricsKeyFile && resolve(metricsKeyFile),
    metricsMaxFunctions: read.integer("SANDPIPER_METRICS_MAX_FUNCTIONS", { fallback: 200, min: 0, max: 100_000 }),
    accessLog: read.choice("SANDPIPER_ACCESS_LOG", ["failed", "all", "off"], "failed"),
    records: {
      keepMs: read.integer("SANDPIPER_RECORDS_KEEP_MS", { fallback: 7 * DAY_MS, min: 60_000, max: 365 * DAY_MS }),
      maxBytes: read.integer("SANDPIPER_RECORDS_MAX_BYTES", { fallback: 256 * MIB, min: MIB }),
    },
    usageKeepMs: read.integer("SANDPIPER_USAGE_KEEP_MS", { fallback: 62 * DAY_MS, min: 3_600_000, max: 400 * DAY_MS }),
    bootstrapKeyFile: keyFile && resolve(keyFile),
    masterKeySource: masterKeySource(read),
    egress: {
      allow: read.choice("SANDPIPER_EGRESS_DEFAULT", ["public", "none"], "public"),
      deny: read.words("SANDPIPER_EGRESS_DENY"),
    },
    domains: {
      max: read.integer("SANDPIPER_MAX_DOMAINS", { fallback: 100, min: 0, max: 10_000 }),
      resolver: read.server("SANDPIPER_DOMAIN_RESOLVER"),
    },
    quotas: quotaConfig(read),
    keepVersions: read.integer("SANDPIPER_KEEP_VERSIONS", { fallback: 10, min: 0 }),
    keepVersionsMs: read.integer("SANDPIPER_KEEP_VERSIONS_MS", { fallback: 30 * DAY_MS, min: 0 }),
    gcGraceMs: read.integer("SANDPIPER_GC_GRACE_MS", { fallback: DAY_MS, min: 0 }),
    gcIntervalMs: read.integer("SANDPIPER_GC_INTERVAL_MS", { fallback: 3_600_000, min: 0, max: LONGEST_TIMER_MS }),
    uploadQuotaBytes: read.integer("SANDPIPER_UPLOAD_QUOTA_BYTES", { fallback: 8_192 * MIB, min: 0 }),
    hangLimitMs: read.integer("SANDPIPER_HANG_LIMIT_MS", { fallback: 10_000, min: 0, max: LONGEST_TIMER_MS }),
    worker: workerConfig(read),
  };
  if (config.gcGraceMs < config.queueWaitMs + MOST_DEPLOY_MS) {
    read.problem("SANDPIPER_GC_GRACE_MS", `must be at least ${MOST_DEPLOY_MS} more than SANDPIPER_QUEUE_WAIT_MS`);
  }
  read.finish();
  return config;
}

function quotaConfig(read: EnvironmentReader) {
  const limit = (name: string, fallback = 0) => read.integer(name, { fallback, min: 0, max: 1_000_000_000 });
  const bytes = (name: string) => read.integer(name, { fallback: 0, min: 0, max: 2 ** 50 });
  return {
    callsPerSecond: limit("SANDPIPER_QUOTA_CALLS_PER_SECOND"),
    callsInCourse: limit("SANDPIPER_QUOTA_CALLS_IN_COURSE"),
    callsWaiting: limit("SANDPIPER_QUOTA_CALLS_WAITING"),
    cpuSecondsPerMinute: limit("SANDPIPER_QUOTA_CPU_SECONDS_PER_MINUTE"),
    memoryInUse: bytes("SANDPIPER_QUOTA_MEMORY_IN_USE"),
    bodyBytesPerDay: bytes("SANDPIPER_QUOTA_BODY_BYTES_PER_DAY"),
    functions: limit("SANDPIPER_QUOTA_FUNCTIONS"),
    deploysPerHour: limit("SANDPIPER_QUOTA_DEPLOYS_PER_HOUR"),
    reservedConcurrency: limit("SANDPIPER_QUOTA_RESERVED_CONCURRENCY", 8),
    warmInstances: limit("SANDPIPER_QUOTA_WARM_INSTANCES", 16),
    versions: limit("SANDPIPER_QUOTA_VERSIONS"),
    storedBytes: bytes("SANDPIPER_QUOTA_STORED_BYTES"),
  };
}

function workerConfig(read: EnvironmentReader): WorkerConfig {
  const config: WorkerConfig = {
    workerMetrics: metricsListener(read, "SANDPIPER_WORKER_METRICS", "127.0.0.1:9465"),
    workerId: read.text("SANDPIPER_WORKER_ID") ?? `${hostname()}-${process.pid}`,
    maxSandboxes: read.integer("SANDPIPER_MAX_SANDBOXES", { fallback: 128, min: 1, max: 10_000 }),
    prewarmed: read.integer("SANDPIPER_PREWARMED", { fallback: 4, min: 0, max: 1_000 }),
    memoryBudgetBytes: read.integer("SANDPIPER_MEMORY_BUDGET_BYTES", {
      fallback: Math.floor(machineMemoryBytes() / 2),
      min: 64 * MIB,
    }),
    warmPercent: read.integer("SANDPIPER_WARM_PERCENT", { fallback: 50, min: 0, max: 100 }),
    idleMs: read.integer("SANDPIPER_IDLE_MS", { fallback: 300_000, min: 0 }),
    uidBase: read.integer("SANDPIPER_UID_BASE", { fallback: 700_000, min: 1_000, max: HIGHEST_UID }),
    uidCount: read.integer("SANDPIPER_UID_COUNT", { fallback: 65_536, min: 1, max: HIGHEST_UID }),
    launcher: read.choice("SANDPIPER_LAUNCHER", ["auto", "fork", "exec"], "auto"),
    allowDegraded: read.names("SANDPIPER_ALLOW_DEGRADED"),
    zygotes: read.choice("SANDPIPER_ZYGOTES", ["shared", "tenant"], "shared"),
    standbyZygotes: read.choice("SANDPIPER_STANDBY_ZYGOTES", ["default", "all", "none"], "default"),
    maxZygotes: read.integer("SANDPIPER_MAX_ZYGOTES", { fallback: 16, min: 2, max: 1_000 }),
    egressRelay: egressRelayConfig(read),
    cpuWeight: read.integer("SANDPIPER_CPU_WEIGHT", { fallback: null, min: 1, max: 10_000 }),
    zygoteRenewal: {
      forks: read.integer("SANDPIPER_ZYGOTE_FORKS", { fallback: 5_000, min: 1, max: 1_000_000_000 }),
      ageMs: read.integer("SANDPIPER_ZYGOTE_AGE_MS", { fallback: 1_800_000, min: 1_000, max: LONGEST_TIMER_MS }),
    },
  };
  if (config.uidBase + config.uidCount - 1 > HIGHEST_UID) {
    read.problem("SANDPIPER_UID_COUNT", `must end below ${HIGHEST_UID + 1} when added to SANDPIPER_UID_BASE`);
  }
  if (config.uidCount < config.maxSandboxes) {
    read.problem("SANDPIPER_UID_COUNT", "must be at least SANDPIPER_MAX_SANDBOXES: every sandbox is a user of its own");
  }
  if (config.prewarmed > config.maxSandboxes) {
    read.problem("SANDPIPER_PREWARMED", "must be at most SANDPIPER_MAX_SANDBOXES");
  }
  return config;
}

/** A place to serve figures at; one that others than this machine's users can reach needs a key. */
function metricsListener(read: EnvironmentReader, name: string, fallback: string): string {
  const listener = read.listener(name, fallback);
  const isPrivate = listener === "off" || /^(127\.|localhost:|\[::1\])/.test(listener);
  if (!isPrivate && read.text("SANDPIPER_METRICS_KEY_FILE") === null) {
    read.problem(name, "may leave loopback only with SANDPIPER_METRICS_KEY_FILE, the key that readers must send");
  }
  return listener;
}

/** An address that workers can dial, which "all addresses of this machine" is not. */
function replyAddress(read: EnvironmentReader): Config["replyAddress"] {
  const name = "SANDPIPER_GATEWAY_REPLY_ADDRESS";
  const listener = read.listener(name, "off");
  if (listener === "off") return null;
  const at = listener.lastIndexOf(":");
  const host = listener.slice(0, at).replace(/^\[(.*)\]$/, "$1");
  if (host === "0.0.0.0" || host === "::") {
    read.problem(name, "must be the address by which workers reach this gateway, not all addresses of its machine");
  }
  return { host, port: Number(listener.slice(at + 1)) };
}

/** `REDIS_URL`, or the socket of the private Redis that `npm start` runs in the data directory. */
function redisUrl(read: EnvironmentReader, dataDir: string): string {
  const url = read.text("REDIS_URL");
  if (url === null) return `unix://${dataDir}/redis.sock`;
  try {
    parseRedisUrl(url);
  } catch (error) {
    read.problem("REDIS_URL", (error as Error).message);
  }
  return url;
}

/** The machine's memory, or this process's cgroup limit where that is smaller. */
function machineMemoryBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
