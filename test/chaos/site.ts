/**
 * A Sandpiper for one run: a Redis, gateways and workers as separate processes that come back when
 * they die, and a client before them.
 */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SERVICE_NODE_FLAGS } from "../../infra/service-flags.ts";
import { ensureApiKey } from "../../infra/up/data-dir.ts";
import { newKeyLine } from "../helpers/master-keys.ts";
import { startRedis, type TestRedis } from "../helpers/redis.ts";
import { Client } from "./client.ts";
import { CHECKOUT, type Code, installPackage } from "./code.ts";
import { Collector } from "./collector.ts";
import { mountSmallDisk, type SmallDisk } from "./disk.ts";
import { Executions } from "./executions.ts";
import { deploy, FUNCTION, SOURCE } from "./kinds.ts";
import { FAR, FarMachine, NEAR } from "./network.ts";
import { Service } from "./service.ts";

export interface SiteOptions {
  gateways?: number;
  workers?: number;
  /** Environment variables of gateways and workers. */
  env?: Record<string, string>;
  /** The service that is on another machine; the network between can be cut. */
  far?: "gateway 0" | "worker 0";
  /** Installed by docs/DEPLOYMENT.md, with gateways as a user of their own. */
  installed?: boolean;
  /** Whether the services' clocks can be set. */
  clocks?: boolean;
  /** Whether Redis has a disk of its own that can be filled. */
  smallDisk?: boolean;
  /** Whether spans are sent to a collector, which can hang. */
  traced?: boolean;
}

/** Settings of a site that do not depend on the fault. */
export interface SiteTimes {
  /** Time limit of the function. */
  timeoutMs: number;
  /** How long the client waits before it calls a call lost. */
  lostMs: number;
  /** Directory for the services' logs; nothing is kept without. */
  logs?: string | undefined;
}

const WORKERS = 4;
const UIDS_EACH = 16_384;
/** Of sandboxes: far from those of other tests, and of this program's other processes. */
const FIRST_UID = 3_000_000 + (process.pid % 1_024) * WORKERS * UIDS_EACH;
/** The number of the gateways' user, as `useradd` would give one. */
const GATEWAY_USER = 64_242;
const REDIS_PORT = 6_379;

/** Small; instances end soon, so that what remains after a run is what leaked. */
const SETTINGS = {
  SANDPIPER_PREWARMED: "1",
  SANDPIPER_MAX_SANDBOXES: "8",
  SANDPIPER_IDLE_MS: "2000",
  SANDPIPER_LOG_LEVEL: "warn",
  SANDPIPER_UID_COUNT: String(UIDS_EACH),
};

type Parts = Pick<Site, "redis" | "code" | "machine" | "disk" | "collector">;

export class Site {
  readonly redis: TestRedis;
  readonly executions = new Executions();
  readonly dataDir: string;
  readonly gateways: readonly Service[];
  readonly workers: readonly Service[];
  /** Ends of services that nobody asked for, in words. */
  readonly deaths: string[] = [];
  readonly machine: FarMachine | null;
  readonly disk: SmallDisk | null;
  readonly collector: Collector | null;
  /** Services take it at their next start. */
  code: Code;
  readonly #options: SiteOptions & SiteTimes;
  readonly #masterKey = newKeyLine();
  #client: Client | null = null;
  #stopped: Promise<void> | null = null;

  private constructor(options: SiteOptions & SiteTimes, parts: Parts) {
    this.#options = options;
    this.redis = parts.redis;
    this.code = parts.code;
    this.machine = parts.machine;
    this.disk = parts.disk;
    this.collector = parts.collector;
    this.dataDir = mkdtempSync(join(tmpdir(), "sp-"));
    this.#makeDataDirectory();
    const { gateways = 1, workers = 2 } = options;
    this.gateways = Array.from({ length: gateways }, (_, index) => this.#service("gateway", index));
    this.workers = Array.from({ length: workers }, (_, index) => this.#service("worker", index));
  }

  /** Starts everything and deploys the function; resolves when calls can be made. */
  static async start(options: SiteOptions & SiteTimes): Promise<Site> {
    const { far, installed, smallDisk, traced } = options;
    const code = installed ? await installPackage() : CHECKOUT;
    const machine = far === undefined ? null : await FarMachine.create();
    const redis = await startRedis();
    const disk = smallDisk ? await mountSmallDisk(redis) : null;
    const collector = traced ? await Collector.start() : null;
    const site = new Site(options, { redis, code, machine, disk, collector });
    try {
      if (far !== undefined || installed) await site.#openRedisPort();
      await Promise.all(site.services.map((service) => service.start()));
      await site.#deploy();
    } catch (error) {
      await site.stop();
      throw error;
    }
    return site;
  }

  get services(): readonly Service[] {
    return [...this.gateways, ...this.workers];
  }

  /** One for the whole life of the site. */
  get client(): Client {
    const apiKey = readFileSync(this.#apiKeyFile, "utf8").trim();
    const urls = () => this.gateways.map(({ facts }) => String(facts.url));
    this.#client ??= new Client(urls, { apiKey, lostMs: this.#options.lostMs });
    return this.#client;
  }

  /** Sets a service's clock off by so much. Site option `clocks`. */
  setClock(service: Service, offsetMs: number): void {
    writeFileSync(this.#clockFile(service.name), String(offsetMs));
  }

  /** Ends everything, gently; Redis last. Once, however often it is called. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#client?.close();
    await Promise.all(this.gateways.map((gateway) => gateway.stop()));
    await Promise.all(this.workers.map((worker) => worker.stop()));
    await this.redis.kill();
    await this.disk?.close();
    await this.redis.stop();
    await this.machine?.close();
    await this.collector?.close();
    this.executions.close();
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  get #apiKeyFile(): string {
    return join(this.dataDir, "api-key");
  }

  #clockFile(name: string): string {
    return join(this.dataDir, `clock of ${name}`);
  }

  /** As docs/DEPLOYMENT.md has it made by `install -d`. */
  #makeDataDirectory(): void {
    mkdirSync(join(this.dataDir, "artifacts"));
    ensureApiKey(this.#apiKeyFile);
    if (!this.#options.installed) return;
    for (const path of [this.dataDir, join(this.dataDir, "artifacts")]) {
      chmodSync(path, 0o700);
      chownSync(path, GATEWAY_USER, GATEWAY_USER);
    }
    chownSync(this.#apiKeyFile, GATEWAY_USER, GATEWAY_USER);
  }

  async #openRedisPort(): Promise<void> {
    const redis = this.redis.connect();
    await redis.config("SET", "protected-mode", "no");
    await redis.config("SET", "bind", "0.0.0.0");
    await redis.config("SET", "port", String(REDIS_PORT));
    redis.disconnect();
  }

  async #deploy(): Promise<void> {
    const answer = await this.client.send(deploy(FUNCTION, SOURCE, { timeoutMs: this.#options.timeoutMs }));
    if (answer.status >= 300) throw new Error(`the deployment was answered with ${answer.status}: ${answer.body}`);
  }

  #service(kind: "gateway" | "worker", index: number): Service {
    const name = `${kind} ${index}`;
    const service: Service = new Service({
      name,
      command: () => ({
        argv: [
          ...this.#prefix(kind, name),
          this.code.node,
          ...SERVICE_NODE_FLAGS,
          ...this.#imports(kind, name),
          this.#main(kind),
        ],
        env: {
          ...this.#environment(name),
          ...(kind === "gateway" ? this.#address(service) : workerEnvironment(index)),
        },
      }),
      onDeath: (what) => this.deaths.push(what),
      logFile: this.#options.logs && join(this.#options.logs, `${name}.log`),
    });
    return service;
  }

  /** In the order in which they take effect. */
  #prefix(kind: "gateway" | "worker", name: string): string[] {
    const { far, installed } = this.#options;
    const user = ["setpriv", `--reuid=${GATEWAY_USER}`, `--regid=${GATEWAY_USER}`, "--clear-groups", "--no-new-privs"];
    return [
      ...(far === name && this.machine !== null ? this.machine.prefix : []),
      ...(installed && kind === "gateway" ? user : []),
    ];
  }

  #imports(kind: "gateway" | "worker", name: string): string[] {
    const clock = new URL("./clock-module.ts", import.meta.url);
    clock.searchParams.set("file", this.#clockFile(name));
    const modules = [
      ...(this.#options.clocks ? [clock.href] : []),
      ...(kind === "worker" ? [this.executions.moduleUrl(this.code)] : []),
    ];
    return modules.flatMap((module) => ["--import", module]);
  }

  #main(kind: "gateway" | "worker"): string {
    return join(this.code.root, kind, `main${this.code.ending}`);
  }

  #environment(name: string): Record<string, string> {
    const { far, installed, env } = this.#options;
    const { PATH = "" } = process.env;
    const byPort = `redis://${far === name ? NEAR : "127.0.0.1"}:${REDIS_PORT}`;
    return {
      ...{ PATH, ...SETTINGS, SANDPIPER_DATA_DIR: this.dataDir },
      SANDPIPER_ARTIFACTS_DIR: join(this.dataDir, "artifacts"),
      SANDPIPER_MASTER_KEY: this.#masterKey,
      REDIS_URL: far === name || installed ? byPort : this.redis.url,
      ...(this.collector !== null && { OTEL_EXPORTER_OTLP_ENDPOINT: this.collector.url }),
      ...env,
    };
  }

  /** A gateway comes back where it was. */
  #address(gateway: Service): Record<string, string> {
    const { url } = gateway.facts;
    return {
      SANDPIPER_BOOTSTRAP_KEY_FILE: this.#apiKeyFile,
      SANDPIPER_PORT: url === undefined ? "0" : new URL(String(url)).port,
      // Clients of the far machine have addresses that limits hold for.
      ...(this.#options.far === gateway.name && { SANDPIPER_HOST: FAR, SANDPIPER_UNLIMITED_CLIENTS: "10.66.0.0/16" }),
    };
  }
}

/** Whether a user is one of the sandboxes of a site's workers, or of one of them. */
export function isSandboxUser(uid: number, worker?: number): boolean {
  const index = Math.floor((uid - FIRST_UID) / UIDS_EACH);
  return worker === undefined ? index >= 0 && index < WORKERS : index === worker;
}

function workerEnvironment(index: number): Record<string, string> {
  return {
    SANDPIPER_WORKER_ID: `worker-${index}`,
    SANDPIPER_UID_BASE: String(FIRST_UID + index * UIDS_EACH),
    SANDPIPER_MEMORY_BUDGET_BYTES: String(2 ** 31),
  };
}
