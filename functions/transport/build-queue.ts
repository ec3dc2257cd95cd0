/** Builds, carried from a gateway to a worker and their results back. */
import type { Redis } from "ioredis";
import { BUILD_LIMIT_MS, type BuildRequest, type BuildResult } from "../model/build.ts";
import { type TaskKind, TaskQueue, TaskWorker } from "./task-queue.ts";

/** A bundler may take half a GiB and all processors, so a worker runs one. */
const BUILDS: TaskKind = { name: "builds", limitMs: BUILD_LIMIT_MS, unavailable: "BUILD_UNAVAILABLE", atOnce: 1 };

/** The gateway's end of builds. */
export class BuildQueue extends TaskQueue<BuildRequest, BuildResult> {
  constructor(redis: Redis) {
    super(redis, BUILDS);
  }

  /**
   * Has a worker make a bundle.
   * @throws SandpiperError BUILD_UNAVAILABLE when no worker did in `limitMs`, QUEUE_UNAVAILABLE
   * when Redis is away.
   */
  build(request: BuildRequest, limitMs?: number): Promise<BuildResult> {
    return this.do(request, limitMs);
  }
}

/** The worker's end of builds. */
export class BuildWorker extends TaskWorker<BuildRequest, BuildResult> {
  /** @param build makes a bundle; what it rejects with becomes BUILD_UNAVAILABLE at the gateway. */
  constructor(redis: Redis, build: (request: BuildRequest) => Promise<BuildResult>, onError?: (error: Error) => void) {
    super(redis, BUILDS, build, onError);
  }
}
