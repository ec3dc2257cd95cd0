/** What a worker does beside calls: builds, and checks of versions that are to go live. */
import type { ArtifactStore } from "../functions/store/artifacts.ts";
import { BuildWorker } from "../functions/transport/build-queue.ts";
import { CheckWorker } from "../functions/transport/check-queue.ts";
import { Builder, type BuilderOptions } from "./code/builder.ts";
import { checkVersion } from "./path/check.ts";
import type { Parts } from "./path/context.ts";

export class Tasks {
  readonly #builds: BuildWorker;
  readonly #checks: CheckWorker;

  /** @param run runs a program in a sandbox. */
  constructor(parts: Parts, artifacts: ArtifactStore, run: BuilderOptions["run"]) {
    const { redis, onTrouble } = parts;
    const builder = new Builder({ redis, artifacts, run });
    const troubleOf = (queue: string) => (error: Error) => onTrouble(`the queue of ${queue} has trouble`, error);
    this.#builds = new BuildWorker(redis, (request) => builder.build(request), troubleOf("builds"));
    this.#checks = new CheckWorker(redis, (request) => checkVersion(parts, request), troubleOf("checks"));
  }

  /** Begins to take them. */
  start(): void {
    this.#builds.start();
    this.#checks.start();
  }

  /** Takes no more, and resolves when those at work have ended. */
  async close(): Promise<void> {
    await Promise.all([this.#builds.close(), this.#checks.close()]);
  }
}
