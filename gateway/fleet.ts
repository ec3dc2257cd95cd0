/**
 * Keeps an eye on the workers: what they say about their walls, so that a gateway's spans can say
 * it too, and which of them came and went.
 */
import type { Redis } from "ioredis";
import { degradedWalls, hasLeft, listWorkers, WORKER_TTL_MS, type WorkerInfo } from "../functions/store/workers.ts";
import type { Logger } from "../infra/log.ts";

const LOOK_MS = 2_000;

export class Fleet {
  readonly #redis: Redis;
  readonly #log: Logger;
  readonly #onDegraded: (walls: string[]) => void;
  #timer: NodeJS.Timeout | undefined;
  #walls = "";
  /** The workers of the last look; null when nobody could look. */
  #workers: Map<string, WorkerInfo> | null = null;

  /**
   * @param log told of workers that came, left or fell silent.
   * @param onDegraded told of the walls that sandboxes of some worker do without, whenever that
   * changes.
   */
  constructor(redis: Redis, log: Logger, onDegraded: (walls: string[]) => void) {
    this.#redis = redis;
    this.#log = log;
    this.#onDegraded = onDegraded;
  }

  /** Looks every two seconds from now on; resolves after the first look. */
  async start(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => void this.#look(), LOOK_MS).unref();
    await this.#look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The last known walls stand while Redis is away. */
  async #look(): Promise<void> {
    const workers = await listWorkers(this.#redis).catch(() => null);
    const before = this.#workers;
    this.#workers = workers && new Map(workers.map((worker) => [worker.id, worker]));
    if (workers === null) return;
    if (before !== null) await this.#tellChanges(before, workers).catch(() => {});
    const walls = degradedWalls(workers);
    if (walls.join() === this.#walls) return;
    this.#walls = walls.join();
    this.#onDegraded(walls);
  }

  /** One line for each that came or went. Nothing is said of a time in which Redis was away. */
  async #tellChanges(before: ReadonlyMap<string, WorkerInfo>, workers: readonly WorkerInfo[]): Promise<void> {
    for (const { id, host, pid, posture } of workers) {
      if (!before.has(id)) this.#log.info("a worker is there", { worker: id, host, pid, launcher: posture.launcher });
    }
    const alive = new Set(workers.map(({ id }) => id));
    for (const { id, host, pid, running } of before.values()) {
      if (alive.has(id)) continue;
      if (await hasLeft(this.#redis, id)) this.#log.info("a worker has left", { worker: id, host, pid });
      else {
        const reason = `it has said nothing for ${WORKER_TTL_MS / 1_000} s: it died, hangs, or cannot reach Redis`;
        this.#log.error("a worker is gone", { worker: id, host, pid, reason, running });
      }
    }
  }
}
