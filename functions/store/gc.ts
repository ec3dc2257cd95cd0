/**
 * The collection of what nobody needs any more: old versions, and files of the artefact store that
 * no version needs. Safe beside deployments, calls and other machines:
 *
 * - A version goes only when its function has not run it for longer than a call can wait, and a
 *   script of Redis sees that nobody put or deployed it meanwhile (registry.ts).
 * - An artefact is set aside first and removed much later, and whoever asks for it has it back
 *   (artifacts.ts). A deployment puts its version before it looks whether the artefacts are there.
 *   So either this looks at the versions later, and finds them needed, or the deployment sees that
 *   they are gone, and builds again.
 * - Uploaded source files are collected alike, each tenant's for itself: those of uploads that
 *   became no version, and those whose versions are gone.
 * - Deletions of tenants that broke off are carried on first (tenant-deletion.ts).
 * - One process at a time collects (gc-lock.ts), and only in a store that one Redis alone uses.
 */
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { SandpiperError } from "../model/errors.ts";
import type { FileArtifactStore } from "./artifacts.ts";
import { type CollectedFiles, collectFiles, sumOf } from "./gc-files.ts";
import { CollectionLock } from "./gc-lock.ts";
import { type CollectionLimits, collectVersions, type OldVersion } from "./gc-versions.ts";
import type { Registry } from "./registry.ts";
import { finishDeletions } from "./tenant-deletion.ts";

/** Names this Redis for the artefact store. */
const REDIS_ID = "sp:gc:redis";
/** There while no gateway need begin by itself. */
const TURN = "sp:gc:turn";

export interface Collection extends CollectedFiles {
  /** Old versions that are gone, of all tenants. */
  versions: OldVersion[];
}

export interface CollectorOptions {
  /** Its commands may take long, as versions are large. */
  redis: Redis;
  registry: Registry;
  artifacts: FileArtifactStore;
  limits: CollectionLimits;
}

export class Collector {
  readonly #options: CollectorOptions;

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  /**
   * Collects once.
   * @param dryRun whether only to say what would be done now.
   * @throws SandpiperError GC_RUNNING, BACKUP_RUNNING, RESTORE_RUNNING when another process does
   * something of these, ARTIFACT_STORE_MISMATCH
   */
  async collect({ dryRun }: { dryRun: boolean }): Promise<Collection> {
    const { redis } = this.#options;
    await this.claimStore();
    const lock = await CollectionLock.take(redis);
    try {
      return await this.#collect(lock, dryRun);
    } finally {
      await lock.release();
    }
  }

  /**
   * Notes in the artefact store that this Redis uses it. Two that share a directory would take each
   * other's artefacts away, and so would one that lost everything: it is another one then.
   * @throws SandpiperError ARTIFACT_STORE_MISMATCH when another Redis uses it too
   */
  async claimStore(): Promise<void> {
    const { redis, artifacts } = this.#options;
    await redis.setnx(REDIS_ID, randomUUID());
    const id = (await redis.get(REDIS_ID)) ?? "";
    const other = (await artifacts.addUser(id)).find((user) => user !== id);
    if (other === undefined) return;
    const message = `The artefact store is used by another Redis too, or by this one before it lost its data: nothing is collected. If that one is gone for ever, remove ${artifacts.userFile(other)}.`;
    throw new SandpiperError("ARTIFACT_STORE_MISMATCH", { message });
  }

  /**
   * Collects once in a while, over all gateways together.
   * @returns null when it is not time yet.
   */
  async collectWhenDue(intervalMs: number): Promise<Collection | null> {
    const isDue = (await this.#options.redis.set(TURN, "1", "PX", intervalMs, "NX")) !== null;
    return isDue ? await this.collect({ dryRun: false }) : null;
  }

  async #collect(lock: CollectionLock, dryRun: boolean): Promise<Collection> {
    const { redis, registry, artifacts, limits } = this.#options;
    if (!dryRun) await finishDeletions({ redis, artifacts }, () => lock.renew());
    const [seconds, microseconds] = await redis.time();
    // Before versions are read: a file that waited until then, and that no version needs, may go.
    const nowMs = Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
    const common = { nowMs, dryRun, goOn: () => lock.renew() };
    const { removed: versions, needed, neededSources } = await collectVersions({ registry, limits, ...common });
    const of = { redis, graceMs: limits.graceMs, ...common };
    const collected = [await collectFiles({ ...of, artifacts, tenant: null, needed })];
    for (const tenant of await artifacts.sourceTenants()) {
      const sources = {
        artifacts: artifacts.sourcesOf(tenant),
        needed: neededSources.get(tenant) ?? new Set<string>(),
      };
      collected.push(await collectFiles({ ...of, ...sources, tenant }));
    }
    return { versions, ...sumOf(collected) };
  }
}
