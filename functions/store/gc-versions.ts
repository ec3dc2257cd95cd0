/** Collects old versions: those that their function has not run for long, or that are too many. */
import type { VersionRef } from "../model/invocation.ts";
import type { FunctionRef, KeptVersion, Registry } from "./registry.ts";

/** How much of what is old stays. */
export interface CollectionLimits {
  /** Most old versions of a function, beside the one that it runs. */
  keepVersions: number;
  /** Longest time that an old version stays. */
  keepVersionsMs: number;
  /**
   * How long anything stays that nothing needs, whatever the other limits say: longer than a call
   * can wait in the queue, and than a deployment takes.
   */
  graceMs: number;
}

/** An old version, and since when it is one: Unix time in milliseconds. */
export interface OldVersion extends VersionRef {
  unusedSinceMs: number;
}

/** The end of a collection of versions. */
export interface CollectedVersions {
  removed: OldVersion[];
  /** Digests of all artefacts that a version still needs. */
  needed: Set<string>;
  /** By tenant: digests of the source files that its versions were made of. */
  neededSources: Map<string, Set<string>>;
}

export interface VersionCollection {
  registry: Registry;
  limits: CollectionLimits;
  /** Redis's clock. */
  nowMs: number;
  /** Says what would go, and changes nothing. */
  dryRun: boolean;
  /** Called before each function. */
  goOn(): Promise<void>;
}

/** The versions that go, latest first. */
export function surplusVersions(
  versions: readonly KeptVersion[],
  { keepVersions, keepVersionsMs, graceMs }: CollectionLimits,
  nowMs: number,
): { version: string; unusedSinceMs: number }[] {
  return versions
    .flatMap(({ version, unusedSinceMs }) => (unusedSinceMs === null ? [] : [{ version, unusedSinceMs }]))
    .sort((one, other) => other.unusedSinceMs - one.unusedSinceMs)
    .filter(({ unusedSinceMs }, index) => {
      const ageMs = nowMs - unusedSinceMs;
      return ageMs >= graceMs && (index >= keepVersions || ageMs >= keepVersionsMs);
    });
}

/** Removes the versions that go, of every function of every tenant. */
export async function collectVersions(collection: VersionCollection): Promise<CollectedVersions> {
  const collected: CollectedVersions = { removed: [], needed: new Set(), neededSources: new Map() };
  for await (const ref of collection.registry.functionsWithVersions()) {
    await collection.goOn();
    await collectOf(collection, ref, collected);
  }
  return collected;
}

async function collectOf(collection: VersionCollection, ref: FunctionRef, collected: CollectedVersions) {
  const { registry, limits, nowMs, dryRun } = collection;
  const versions = await registry.keptVersions(ref);
  const surplus = new Map(surplusVersions(versions, limits, nowMs).map((one) => [one.version, one.unusedSinceMs]));
  for (const one of versions) {
    const { version, isCurrent, unusedSinceMs } = one;
    const old = { ...ref, version, unusedSinceMs: surplus.get(version) ?? 0 };
    const goes = surplus.has(version) && (dryRun || (await registry.removeVersion(old, old.unusedSinceMs)));
    if (goes) collected.removed.push(old);
    else noteNeeds(collected, ref.tenant, one);
    // Kept by an older Sandpiper, which noted no time: counted from now on.
    if (!isCurrent && unusedSinceMs === null && !dryRun) await registry.noteUnused({ ...ref, version });
  }
}

function noteNeeds({ needed, neededSources }: CollectedVersions, tenant: string, { artifacts, files }: KeptVersion) {
  for (const digest of artifacts) needed.add(digest);
  const sources = neededSources.get(tenant) ?? new Set();
  neededSources.set(tenant, sources);
  for (const digest of files) sources.add(digest);
}
