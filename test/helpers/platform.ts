/**
 * A whole Sandpiper of real processes on a data directory of its own: Redis, a gateway, workers,
 * and the CLI.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { SERVICE_NODE_FLAGS } from "../../infra/service-flags.ts";
import { ensureApiKey, ensureMasterKey } from "../../infra/up/data-dir.ts";
import { type CliResult, cli } from "./cli.ts";
import { compileCacheVariable } from "./compile-cache.ts";
import "./localhost.ts";
import { startRedis, type TestRedis } from "./redis.ts";

const ROOT = resolve(import.meta.dirname, "../..");

export interface PlatformOptions {
  workers?: number;
  gateways?: number;
  /** Environment variables of gateway and workers. */
  env?: Record<string, string>;
  /** Whether what services log is kept in `logs`, rather than shown. */
  keepsLogs?: boolean;
  /** Done before anything but Redis is started: what is there already. */
  prepare?: (redis: TestRedis, dataDir: string) => Promise<void>;
}

/**
 * Small, and with uids far from those of a platform that may run beside the tests. Gateways leave
 * at once: no proxy has to see before that they do.
 */
const SETTINGS = {
  SANDPIPER_PORT: "0",
  SANDPIPER_LEAVE_MS: "0",
  SANDPIPER_PREWARMED: "1",
  SANDPIPER_MAX_SANDBOXES: "8",
  SANDPIPER_LOG_LEVEL: "error",
  SANDPIPER_UID_COUNT: "16384",
};
const FIRST_UID = 2_100_000;

/** A process of ours that says over IPC when it is ready. */
interface Service {
  readonly child: ChildProcess;
  readonly facts: Record<string, unknown>;
}

export class Platform {
  readonly redis: TestRedis;
  readonly dataDir: string;
  readonly apiKeyFile: string;
  readonly #env: Record<string, string>;
  readonly #workers: Service[] = [];
  readonly #gateways: Service[] = [];
  readonly #keepsLogs: boolean;
  /** What the services have logged, when it is kept. */
  logs = "";
  #projects = 0;
  #workersStarted = 0;

  private constructor(redis: TestRedis, dataDir: string, env: Record<string, string>, keepsLogs: boolean) {
    this.#keepsLogs = keepsLogs;
    this.redis = redis;
    this.dataDir = dataDir;
    this.apiKeyFile = join(dataDir, "api-key");
    this.#env = {
      ...SETTINGS,
      REDIS_URL: redis.url,
      SANDPIPER_DATA_DIR: dataDir,
      SANDPIPER_BOOTSTRAP_KEY_FILE: this.apiKeyFile,
      SANDPIPER_MASTER_KEY_FILE: join(dataDir, "master-key"),
      ...env,
    };
  }

  /** Starts everything; resolves when calls can be made. End it with `stop`. */
  static async start({
    workers = 1,
    gateways = 1,
    env = {},
    keepsLogs = false,
    prepare = async () => {},
  }: PlatformOptions = {}): Promise<Platform> {
    const dataDir = mkdtempSync(join(tmpdir(), "sp-"));
    const platform = new Platform(await startRedis(), dataDir, env, keepsLogs);
    await prepare(platform.redis, dataDir);
    ensureApiKey(platform.apiKeyFile);
    ensureMasterKey(join(dataDir, "master-key"));
    try {
      for (let index = 0; index < gateways; index++) await platform.startGateway();
      for (let index = 0; index < workers; index++) await platform.startWorker();
    } catch (error) {
      await platform.stop();
      throw error;
    }
    return platform;
  }

  /** The first gateway's address, without a slash at its end. */
  get url(): string {
    return String(this.#gateways[0]?.facts.url);
  }

  /** The addresses of all of them, without a slash at their end. */
  get urls(): string[] {
    return this.#gateways.map(({ facts }) => String(facts.url));
  }

  get gatewayPids(): number[] {
    return this.#gateways.map(({ child }) => child.pid as number);
  }

  get apiKey(): string {
    return readFileSync(this.apiKeyFile, "utf8").trim();
  }

  /** The worker processes that were started, oldest first. */
  get workers(): readonly ChildProcess[] {
    return this.#workers.map(({ child }) => child);
  }

  /** Pids of the zygotes that a worker has now. */
  zygotes(worker: ChildProcess): number[] {
    return childrenOf(worker.pid as number).filter((pid) => commandLine(pid).includes("zygote"));
  }

  /** Starts one more gateway; resolves when it answers. */
  async startGateway(): Promise<void> {
    this.#gateways.push(await this.#start("gateway", {}));
  }

  /** Starts one more worker; resolves when it takes calls. */
  async startWorker(): Promise<ChildProcess> {
    const index = this.#workersStarted++;
    const worker = await this.#start("worker", {
      SANDPIPER_WORKER_ID: `worker-${index}`,
      SANDPIPER_UID_BASE: String(FIRST_UID + index * Number(SETTINGS.SANDPIPER_UID_COUNT)),
    });
    this.#workers.push(worker);
    return worker.child;
  }

  /** Exchanges gateways and workers for as many new ones while calls run, as an update does. */
  async roll(): Promise<void> {
    const [workers, gateways] = [[...this.#workers], [...this.#gateways]];
    for (const _ of workers) await this.startWorker();
    for (const _ of gateways) await this.startGateway();
    this.#workers.splice(0, workers.length);
    this.#gateways.splice(0, gateways.length);
    await Promise.all([...gateways, ...workers].map(({ child }) => end(child, "SIGTERM")));
  }

  /** Kills a process of ours with SIGKILL; resolves when it is gone. */
  async kill(child: ChildProcess): Promise<void> {
    await end(child, "SIGKILL");
  }

  /** Runs the `sandpiper` command against this platform. */
  cli(args: string[], options: { cwd?: string; input?: string | Uint8Array } = {}): Promise<CliResult> {
    const { cwd = this.dataDir, input } = options;
    const env = { SANDPIPER_URL: this.url, SANDPIPER_API_KEY: this.apiKey, NO_COLOR: "1" };
    return cli(args, { cwd, env, ...(input === undefined ? {} : { input }) });
  }

  /**
   * Deploys a directory with the CLI; gives the function's URL. @throws Error with what the CLI
   * said.
   */
  async deploy(directory: string): Promise<string> {
    const { code, stdout, stderr } = await this.cli(["deploy", resolve(ROOT, directory)]);
    if (code !== 0) throw new Error(`sandpiper deploy ended with ${code}:\n${stderr}`);
    return stdout.trim();
  }

  /**
   * Deploys a function of these files; a text is its index.ts. Gives its URL, without a slash at
   * its end.
   */
  async deployFiles(
    name: string,
    files: string | Record<string, string | Uint8Array>,
    config: Record<string, unknown> = {},
  ): Promise<string> {
    const project = join(this.dataDir, `project-${this.#projects++}`);
    const all = typeof files === "string" ? { "index.ts": files } : files;
    const settings = JSON.stringify({ name, ...config });
    for (const [path, bytes] of Object.entries({ ...all, "sandpiper.jsonc": settings })) {
      await mkdir(dirname(join(project, path)), { recursive: true });
      await writeFile(join(project, path), bytes);
    }
    return (await this.deploy(project)).replace(/\/+$/, "");
  }

  /** A request to the control API, with the key. */
  api(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${this.apiKey}`);
    return fetch(`${this.url}${path}`, { ...init, headers });
  }

  /**
   * Ends everything as Ctrl-C does: drains gateway and workers, then Redis; removes the data
   * directory.
   */
  async stop(): Promise<void> {
    for (const { child } of [...this.#gateways, ...this.#workers]) await end(child, "SIGTERM");
    await this.redis.stop();
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  async #start(service: "gateway" | "worker", env: Record<string, string>): Promise<Service> {
    const { PATH, HOME } = process.env;
    const child = spawn(process.execPath, [...SERVICE_NODE_FLAGS, join(ROOT, service, "main.ts")], {
      env: { PATH, HOME, ...compileCacheVariable(), ...this.#env, ...env },
      stdio: ["ignore", "inherit", this.#keepsLogs ? "pipe" : "inherit", "ipc"],
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      this.logs += chunk;
    });
    const message = (await Promise.race([once(child, "message"), once(child, "exit")]))[0] as {
      type?: string;
      message?: string;
      facts?: Record<string, unknown>;
    } | null;
    if (message?.type !== "ready") throw new Error(`the ${service} did not start: ${message?.message ?? message}`);
    return { child, facts: message.facts ?? {} };
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill(signal);
  await gone;
}

/** Pids of a process's children, whatever thread of it made them: proc_pid_task(5), "children". */
export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}
