/** One running Sandpiper: what it is made of, started in order and ended in the reverse order. */
import type { Environment } from "../environment.ts";
import type { RedisFaultName } from "../redis-durability.ts";
import type { UpArgs } from "./args.ts";
import { type DataDir, ensureApiKey, ensureMasterKey, writeConnection } from "./data-dir.ts";
import type { UpError } from "./failure.ts";
import { killLeftovers, ProcessRecord } from "./leftovers.ts";
import { lockDataDir } from "./lock.ts";
import { ensureRedisServer } from "./redis-install.ts";
import { checkRedis, checkRedisData, redisProgram } from "./redis-server.ts";
import { serviceProgram } from "./service-program.ts";
import type { EndSignals } from "./signals.ts";
import type { Steps } from "./steps.ts";
import { type Program, Supervisor } from "./supervisor.ts";
import { workerEnvironment } from "./worker-environment.ts";

/** How long calls that run may take to end after Ctrl-C. */
const DRAIN_GRACE_MS = 30_000;

export interface InstanceOptions {
  args: UpArgs;
  dir: DataDir;
  env: Environment;
  steps: Steps;
  signals: EndSignals;
  /** Faults that the Redis of REDIS_URL may have. */
  allowRedis: readonly RedisFaultName[];
  /** How long gateway and workers may give no sign of life; 0: for ever. */
  hangLimitMs: number;
  /** A part of it dies again and again. */
  gaveUp(error: UpError): void;
}

export class UpInstance {
  readonly #options: InstanceOptions;
  readonly #cleanup = new AsyncDisposableStack();
  readonly #record: ProcessRecord;
  #url: string | null = null;

  constructor(options: InstanceOptions) {
    this.#options = options;
    const { dir, steps } = options;
    this.#record = new ProcessRecord(dir.processesFile, ({ message }) =>
      steps.note(`warning: what runs cannot be noted, so that a start after kill -9 cannot end it: ${message}`),
    );
  }

  /**
   * Starts everything; resolves with the gateway's URL when all of it is ready.
   * @throws UpError; call `stop` then too.
   */
  async start(): Promise<string> {
    const { args, dir, steps } = this.#options;
    this.#claimDataDir();
    const redisUrl = await this.#startRedis();
    if (ensureApiKey(dir.apiKeyFile)) steps.note(`made an API key: ${dir.apiKeyFile}`);
    this.#ensureMasterKey();
    const workers = Array.from({ length: args.workers }, (_, index) => this.#worker(index, redisUrl));
    const gateway = this.#gateway(redisUrl);
    await steps.run(args.workers === 1 ? "Start a worker" : `Start ${args.workers} workers`, () =>
      Promise.all(workers.map((worker) => worker.start())),
    );
    await steps.run(
      "Start the gateway",
      () => gateway.start(),
      () => this.#url ?? "",
    );
    const url = this.#url as string | null;
    if (url === null) throw new Error("the gateway told no URL");
    this.#cleanup.defer(writeConnection(dir, url));
    return url;
  }

  /**
   * Ends everything in the reverse order: first what takes calls, then what runs them, Redis at
   * last.
   */
  async stop(): Promise<void> {
    await this.#cleanup.disposeAsync();
  }

  /** Makes a master key, unless the environment says where keys are. */
  #ensureMasterKey(): void {
    const { dir, steps } = this.#options;
    if (this.#hasOwnKeys || !ensureMasterKey(dir.masterKeyFile)) return;
    steps.note(`made a master key for secrets, to be kept in a backup: ${dir.masterKeyFile}`);
  }

  get #hasOwnKeys(): boolean {
    const { env } = this.#options;
    return Boolean(env.SANDPIPER_MASTER_KEY_FILE || env.SANDPIPER_MASTER_KEY || env.SANDPIPER_MASTER_KEY_COMMAND);
  }

  #claimDataDir(): void {
    const { dir, steps } = this.#options;
    for (const warning of dir.warnings) steps.note(`warning: ${warning}`);
    const lock = lockDataDir(dir.path);
    this.#cleanup.defer(() => lock.release());
    const killed = killLeftovers(dir.processesFile);
    if (killed > 0) steps.note(`ended ${killed} processes that an earlier run left behind`);
    this.#cleanup.defer(() => this.#record.clear());
  }

  /** The URL of the user's Redis, or of a private one that is started. */
  async #startRedis(): Promise<string> {
    const { env, dir, steps, allowRedis } = this.#options;
    if (env.REDIS_URL) {
      const url = env.REDIS_URL;
      const warnings = await steps.run("Reach the Redis of REDIS_URL", () => checkRedis(url, allowRedis));
      for (const warning of warnings) steps.note(`warning: ${warning}`);
      return url;
    }
    const executable = await ensureRedisServer(env, steps);
    await checkRedisData(executable, dir);
    const redis = this.#supervise(redisProgram(executable, dir, env));
    await steps.run("Start a private Redis", () => redis.start());
    return `unix://${encodeURI(dir.redisSocket)}`;
  }

  #worker(index: number, redisUrl: string): Supervisor {
    const { args } = this.#options;
    return this.#supervise(
      serviceProgram({
        name: args.workers === 1 ? "worker" : `worker ${index + 1}`,
        main: "worker/main",
        env: () => ({
          ...this.#commonEnvironment(redisUrl),
          ...workerEnvironment(this.#options.env, index, args.workers),
        }),
      }),
    );
  }

  #gateway(redisUrl: string): Supervisor {
    const { args, dir } = this.#options;
    return this.#supervise(
      serviceProgram({
        name: "gateway",
        main: "gateway/main",
        env: () => ({
          // No load balancer asks this gateway whether it is ready.
          SANDPIPER_LEAVE_MS: "0",
          ...this.#commonEnvironment(redisUrl),
          SANDPIPER_HOST: args.host,
          // Started again, it must be where its clients know it, also when any free port was asked
          // for.
          SANDPIPER_PORT: this.#url === null ? String(args.port) : new URL(this.#url).port,
          SANDPIPER_BOOTSTRAP_KEY_FILE: dir.apiKeyFile,
        }),
        onReady: ({ url }) => {
          if (typeof url === "string") this.#url ??= url;
        },
      }),
    );
  }

  #commonEnvironment(redisUrl: string): Environment {
    const { args, env, dir } = this.#options;
    return {
      ...env,
      ...(args.allowDegraded !== null && { SANDPIPER_ALLOW_DEGRADED: args.allowDegraded }),
      ...(!this.#hasOwnKeys && { SANDPIPER_MASTER_KEY_FILE: dir.masterKeyFile }),
      REDIS_URL: redisUrl,
      SANDPIPER_DATA_DIR: dir.path,
      SANDPIPER_LOG_LEVEL: env.SANDPIPER_LOG_LEVEL ?? "warn",
    };
  }

  /** A supervisor whose child is ended by `stop`, also while it is still starting. */
  #supervise(program: Program): Supervisor {
    const { steps, gaveUp, signals, hangLimitMs } = this.#options;
    const hooks = { record: this.#record, note: steps.note, gaveUp, hangLimitMs };
    const supervisor = new Supervisor(program, hooks);
    this.#cleanup.defer(() => supervisor.stop({ graceMs: DRAIN_GRACE_MS, hurry: signals.hurry }));
    return supervisor;
  }
}
