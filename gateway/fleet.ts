/**
 * Keeps an eye on what the workers say about their walls, so that a gateway's spans can say it too.
 */
import type { Redis } from "ioredis";
import { degradedWalls, listWorkers } from "../functions/store/workers.ts";

const LOOK_MS = 2_000;

export class Fleet {
  readonly #redis: Redis;
  readonly #onDegraded: (walls: string[]) => void;
  #timer: NodeJS.Timeout | undefined;
  #known = "";

  /**
   * @param onDegraded told of the walls that sandboxes of some worker do without, whenever that
   * changes.
   */
  constructor(redis: Redis, onDegraded: (walls: string[]) => void) {
    this.#redis = redis;
    this.#onDegraded = onDegraded;
  }

  /** Looks every two seconds from now on; resolves after the first look. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.#look(), LOOK_MS).unref();
    await this.#look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The last known walls stand while Redis is away. */
  async #look(): Promise<void> {
    const workers = await listWorkers(this.#redis).catch(() => null);
    if (workers === null) return;
    const walls = degradedWalls(workers);
    if (walls.join() === this.#known) return;
    this.#known = walls.join();
    this.#onDegraded(walls);
  }
}
