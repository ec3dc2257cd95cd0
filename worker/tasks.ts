/**
 * What a worker does beside calls: builds, checks of versions that are to go live, and instances
 * that are kept warm.
 */
import type { CheckRequest } from "../functions/model/check.ts";
import type { FileArtifactStore } from "../functions/store/artifacts.ts";
import { BuildWorker } from "../functions/transport/build-queue.ts";
import { CheckWorker } from "../functions/transport/check-queue.ts";
import type { Config } from "../infra/config.ts";
import { Builder, type BuilderOptions } from "./code/builder.ts";
import { checkVersion } from "./path/check.ts";
import { CheckTurns, mostChecks } from "./path/check-turns.ts";
import type { Parts } from "./path/context.ts";
import { WarmKeeper } from "./warm/warm-keeper.ts";

/** Whoever deploys often does so again within this time. */
const WARM_BUNDLER_MS = 300_000;

export class Tasks {
  readonly #builds: BuildWorker;
  readonly #checks: CheckWorker;
  readonly #builder: Builder;
  readonly #warm: WarmKeeper;

  /** @param run runs a program in a sandbox. */
  constructor(parts: Parts, config: Config, artifacts: FileArtifactStore, run: BuilderOptions["run"]) {
    const { redis, onTrouble } = parts;
    const builder = new Builder({ redis, artifacts, run, warmMs: WARM_BUNDLER_MS });
    this.#builder = builder;
    const troubleOf = (queue: string) => (error: Error) => onTrouble(`the queue of ${queue} has trouble`, error);
    this.#builds = new BuildWorker(redis, (request) => builder.build(request), troubleOf("builds"));
    const turns = new CheckTurns();
    const check = (request: CheckRequest) => turns.take(() => checkVersion(parts, request));
    this.#checks = new CheckWorker(redis, check, troubleOf("checks"), mostChecks(parts.pool.size));
    this.#warm = new WarmKeeper({ workerId: config.worker.workerId, parts, quotaDefaults: config.quotas });
  }

  /** Begins to take them. */
  start(): void {
    this.#builds.start();
    this.#checks.start();
    this.#warm.start();
  }

  /** Takes no more, and resolves when those at work have ended. */
  async close(): Promise<void> {
    const builds = this.#builds.close().then(() => this.#builder.close());
    await Promise.all([builds, this.#checks.close(), this.#warm.close()]);
  }
}
