/**
 * The code of versions: the versions used last stay in a worker's memory, within a limit of bytes.
 */
import type { VersionRef } from "../../functions/model/invocation.ts";
import type { Version } from "../../functions/model/version.ts";
import type { ArtifactStore } from "../../functions/store/artifacts.ts";
import type { Registry } from "../../functions/store/registry.ts";
import { LruMap } from "../../infra/std/lru.ts";
import { CallFailure } from "../outcome/outcome.ts";
import type { HeldFiles, IncludedFiles } from "./included-files.ts";

/** The code of a version. */
export interface Bundle {
  code: Uint8Array;
  sourceMap: Uint8Array;
  /** Holds the files that lie beside it, if there are some. @throws CallFailure platform_error */
  holdFiles?: () => Promise<HeldFiles>;
}

/** A version with its code. */
export interface Loadable {
  version: Version;
  bundle: Bundle;
}

export interface BundlesOptions {
  registry: Pick<Registry, "versionOfCall">;
  artifacts: ArtifactStore;
  included: IncludedFiles;
  /** Most bytes to keep in memory. */
  maxBytes: number;
}

/** Memory of an entry besides its code. */
const ENTRY_BYTES = 4_096;

interface Entry {
  loadable: Loadable;
  /** Whether it was asked for since `dropUnused` looked last. */
  isUsed: boolean;
}

/**
 * Finds versions. They never change, so an entry stays right; a version that was not found is asked
 * for again.
 */
export class Bundles {
  readonly #options: BundlesOptions;
  readonly #kept: LruMap<string, Entry>;
  readonly #coming = new Map<string, Promise<Loadable>>();

  constructor(options: BundlesOptions) {
    this.#options = options;
    this.#kept = new LruMap(options.maxBytes, sizeOf);
  }

  /** Whether `get` has it in memory. */
  has(ref: VersionRef): boolean {
    return this.#kept.has(keyOf(ref));
  }

  /**
   * A version and its code.
   * @throws CallFailure platform_error when there is no such version, or the store has lost or
   * damaged its code.
   */
  async get(ref: VersionRef): Promise<Loadable> {
    const key = keyOf(ref);
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      kept.isUsed = true;
      return kept.loadable;
    }
    let coming = this.#coming.get(key);
    if (coming === undefined) {
      coming = this.#fetch(ref).finally(() => this.#coming.delete(key));
      this.#coming.set(key, coming);
    }
    return coming;
  }

  /**
   * Drops what was not asked for since this was called last: code and environment of versions that
   * are gone stay no longer than others that nobody calls.
   */
  dropUnused(): void {
    for (const [key, entry] of this.#kept.entries()) {
      if (!entry.isUsed) this.#kept.delete(key);
      entry.isUsed = false;
    }
  }

  async #fetch(ref: VersionRef): Promise<Loadable> {
    const version = await this.#options.registry.versionOfCall(ref);
    if (version === null) throw new CallFailure("platform_error", "FUNCTION_NOT_FOUND");
    const [code, sourceMap] = await Promise.all([this.#artifact(version.bundle), this.#artifact(version.sourceMap)]);
    const { included } = version;
    const files = included === undefined ? {} : { holdFiles: () => this.#options.included.hold(included) };
    const loadable = { version, bundle: { code, sourceMap, ...files } };
    this.#kept.set(keyOf(ref), { loadable, isUsed: true });
    return loadable;
  }

  async #artifact(digest: string): Promise<Uint8Array> {
    try {
      const bytes = await this.#options.artifacts.get(digest);
      if (bytes !== null) return bytes;
    } catch (cause) {
      throw new CallFailure("platform_error", "BUNDLE_LOST", undefined, cause);
    }
    throw new CallFailure("platform_error", "BUNDLE_LOST");
  }
}

function keyOf({ tenant, functionName, version }: VersionRef): string {
  return `${tenant}/${functionName}/${version}`;
}

function sizeOf({ loadable: { bundle } }: Entry): number {
  return bundle.code.byteLength + bundle.sourceMap.byteLength + ENTRY_BYTES;
}
