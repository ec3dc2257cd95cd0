/** Has a gateway collect by itself, in turns with all other gateways. */

import type { Redis } from "ioredis";
import { SandpiperError } from "../functions/model/errors.ts";
import { isRedisAway } from "../functions/redis/connections.ts";
import type { FileArtifactStore } from "../functions/store/artifacts.ts";
import { type Collection, Collector } from "../functions/store/gc.ts";
import { Registry } from "../functions/store/registry.ts";
import { UploadQuota } from "../functions/store/upload-quota.ts";
import type { Config } from "../infra/config.ts";
import type { Logger } from "../infra/log.ts";

/** How often a gateway looks whether it is time, at most. */
const LOOK_MS = 60_000;
/** And how often in the time between two collections, at least. */
const LOOKS = 10;

export class CollectionTimer {
  readonly #collector: Collector;
  readonly #intervalMs: number;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #isBusy = false;
  /** The last trouble that was told; the same is not told again. */
  #told = "";

  /** @param intervalMs time between two collections; 0: none by itself. */
  constructor(collector: Collector, intervalMs: number, log: Logger) {
    this.#collector = collector;
    this.#intervalMs = intervalMs;
    this.#log = log;
  }

  /** Begins to look, and notes in the artefact store that this Redis uses it. */
  start(): void {
    const lookMs = Math.min(LOOK_MS, Math.ceil(this.#intervalMs / LOOKS));
    if (this.#intervalMs > 0) this.#timer = setInterval(() => void this.#look(), lookMs).unref();
    this.#collector.claimStore().catch((error: unknown) => this.#tell(error));
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #look(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      const collected = await this.#collector.collectWhenDue(this.#intervalMs);
      if (collected !== null) this.#report(collected);
    } catch (error) {
      this.#tell(error);
    }
    this.#isBusy = false;
  }

  #report({ versions, setAside, removed }: Collection): void {
    this.#told = "";
    if (versions.length + setAside.files + removed.files === 0) return;
    const { files, bytes } = removed;
    this.#log.info("collected", { versions: versions.length, setAside: setAside.files, files, bytes });
  }

  /** Redis's absence is told elsewhere, and somebody else who collects is no trouble. */
  #tell(error: unknown): void {
    const isRunning = error instanceof SandpiperError && error.code === "GC_RUNNING";
    if (isRunning || isRedisAway(error) || this.#timer === undefined) return;
    const { message } = error as Error;
    if (message !== this.#told) this.#log.warn("old versions and files are not collected", { reason: message });
    this.#told = message;
  }
}

/** The collector of one gateway. */
export function makeCollector(
  config: Pick<Config, "keepVersions" | "keepVersionsMs" | "gcGraceMs">,
  redis: Redis,
  artifacts: FileArtifactStore,
): Collector {
  const { keepVersions, keepVersionsMs, gcGraceMs: graceMs } = config;
  const limits = { keepVersions, keepVersionsMs, graceMs };
  return new Collector({ redis, registry: new Registry(redis), artifacts, limits });
}

/** The bound on what one tenant has kept until it is collected. */
export function makeUploadQuota(
  config: Pick<Config, "uploadQuotaBytes" | "gcGraceMs" | "gcIntervalMs">,
  redis: Redis,
): UploadQuota {
  const { uploadQuotaBytes, gcGraceMs, gcIntervalMs } = config;
  return new UploadQuota({ redis, limitBytes: uploadQuotaBytes, keptMs: gcGraceMs + gcIntervalMs });
}
