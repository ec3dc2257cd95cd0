/** Says every second that this worker is alive. */
import { hostname } from "node:os";
import type { Redis } from "ioredis";
import { linkOf } from "../functions/redis/link.ts";
import { beat, leave, type WorkerInfo } from "../functions/store/workers.ts";
import { settledWithin } from "../infra/std/time.ts";

const BEAT_MS = 1_000;
/** A Redis that is away must not keep a worker from leaving. */
const LEAVE_MS = 1_000;

type Facts = Omit<WorkerInfo, "id" | "host" | "pid" | "startedAtMs" | "clockAheadMs">;

export class Heartbeat {
  readonly #redis: Redis;
  readonly #facts: () => Facts;
  readonly #identity: Pick<WorkerInfo, "id" | "host" | "pid" | "startedAtMs">;
  #timer: NodeJS.Timeout | undefined;
  #beating = false;

  /** @param facts asked for at every beat. */
  constructor(redis: Redis, id: string, facts: () => Facts) {
    this.#redis = redis;
    this.#facts = facts;
    this.#identity = { id, host: hostname(), pid: process.pid, startedAtMs: Date.now() };
  }

  start(): void {
    this.#timer = setInterval(() => void this.#beat(), BEAT_MS);
    void this.#beat();
  }

  /** Beats no more, and says so. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await settledWithin(LEAVE_MS, leave(this.#redis, this.#identity.id));
  }

  /** One at a time: beats that wait for Redis to come back would all be late. */
  async #beat(): Promise<void> {
    if (this.#beating) return;
    this.#beating = true;
    const { aheadMs: clockAheadMs } = linkOf(this.#redis).clock;
    await beat(this.#redis, { ...this.#identity, ...this.#facts(), clockAheadMs }).catch(() => {});
    this.#beating = false;
  }
}
