/** Checks of versions, carried from a gateway to a worker and their results back. */
import type { Redis } from "ioredis";
import { CHECK_LIMIT_MS, type CheckRequest, type CheckResult } from "../model/check.ts";
import { type TaskKind, TaskQueue, TaskWorker } from "./task-queue.ts";

const CHECKS: TaskKind = { name: "checks", limitMs: CHECK_LIMIT_MS, unavailable: "CHECK_UNAVAILABLE", atOnce: 2 };

/** The gateway's end of checks. */
export class CheckQueue extends TaskQueue<CheckRequest, CheckResult> {
  constructor(redis: Redis) {
    super(redis, CHECKS);
  }

  /**
   * Has a worker load a version that is in the registry.
   * @throws SandpiperError CHECK_UNAVAILABLE when no worker did in time, QUEUE_UNAVAILABLE when
   * Redis is away.
   */
  check({ tenant, functionName, version }: CheckRequest): Promise<CheckResult> {
    return this.do({ tenant, functionName, version });
  }
}

/** The worker's end of checks. */
export class CheckWorker extends TaskWorker<CheckRequest, CheckResult> {
  /**
   * @param check loads a version; what it rejects with becomes CHECK_UNAVAILABLE at the gateway.
   * @param atOnce most checks at once
   */
  constructor(
    redis: Redis,
    check: (request: CheckRequest) => Promise<CheckResult>,
    onError?: (error: Error) => void,
    atOnce = CHECKS.atOnce,
  ) {
    super(redis, { ...CHECKS, atOnce }, check, onError);
  }
}
