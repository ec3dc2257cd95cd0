/**
 * Puts functions where a deployment puts them, without a build for each: thousands of them in
 * seconds.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Version } from "../../../functions/model/version.ts";
import { MasterKeys } from "../../../functions/secrets/master-keys.ts";
import { FileArtifactStore } from "../../../functions/store/artifacts.ts";
import { DataKeys } from "../../../functions/store/data-keys.ts";
import { Registry } from "../../../functions/store/registry.ts";
import { SecretStore } from "../../../functions/store/secrets.ts";
import { createTenant } from "../../../functions/store/tenant.ts";
import type { Platform } from "../../helpers/platform.ts";

/** How many are written at once. */
const BATCH = 500;

/** A version with its artefacts, apart from any platform. */
export interface Built {
  version: Version;
  artifacts: Buffer[];
}

export interface Planting {
  tenant: string;
  name: string;
}

export class Planter {
  readonly #platform: Platform;
  readonly #redis: ReturnType<Platform["redis"]["connect"]>;
  readonly #registry: Registry;
  readonly #secrets: SecretStore;
  readonly #artifacts: FileArtifactStore;

  constructor(platform: Platform) {
    this.#platform = platform;
    this.#redis = platform.redis.connect();
    this.#registry = new Registry(this.#redis);
    const masterKeys = MasterKeys.parse(readFileSync(join(platform.dataDir, "master-key"), "utf8"));
    this.#secrets = new SecretStore(this.#redis, new DataKeys(this.#redis, masterKeys));
    this.#artifacts = new FileArtifactStore(join(platform.dataDir, "artifacts"));
  }

  /** The version that a function of the tenant `main` runs. @throws Error when there is none */
  async versionOf(functionName: string): Promise<Version> {
    const state = await this.#registry.getFunction({ tenant: "main", functionName });
    if (state === null) throw new Error(`there is no function ${functionName}`);
    const { env, ...version } = state.version;
    if (env === undefined) return version;
    // Sealed it would open in its own version only.
    const opened = await this.#secrets.openEnv(version, env);
    return { ...version, config: { ...version.config, env: opened } };
  }

  /** What a function of the tenant `main` runs, to be planted elsewhere. */
  async builtOf(functionName: string): Promise<Built> {
    const version = await this.versionOf(functionName);
    const artifacts = await Promise.all(
      [version.bundle, version.sourceMap].map((digest) => this.#artifacts.get(digest)),
    );
    return { version, artifacts: artifacts.filter((bytes) => bytes !== null) };
  }

  /** A function that was built elsewhere. @returns its URL */
  async plantBuilt({ version, artifacts }: Built, planting: Planting): Promise<string> {
    await Promise.all(artifacts.map((bytes) => this.#artifacts.put(bytes)));
    return this.#plant(version, planting);
  }

  /**
   * One more function like `original`, with a bundle like no other in the store. @returns its URL
   */
  async plantOwn(original: Version, planting: Planting): Promise<string> {
    const code = await this.#artifacts.get(original.bundle);
    const own = Buffer.concat([code ?? Buffer.alloc(0), Buffer.from(`\n// ${planting.tenant}/${planting.name}\n`)]);
    return this.#plant({ ...original, bundle: await this.#artifacts.put(own), bundleBytes: own.length }, planting);
  }

  /** Many functions that share the bundle of `original`, and the tenants that they belong to. */
  async plantMany(original: Version, plantings: readonly Planting[]): Promise<void> {
    const tenants = [...new Set(plantings.map(({ tenant }) => tenant))];
    await Promise.all(tenants.map((tenant) => createTenant(this.#redis, tenant)));
    for (let from = 0; from < plantings.length; from += BATCH) {
      await Promise.all(plantings.slice(from, from + BATCH).map((planting) => this.#plant(original, planting)));
    }
  }

  async #plant(original: Version, { tenant, name }: Planting): Promise<string> {
    const version = createHash("sha256").update(`${original.version}/${tenant}/${name}`).digest("hex");
    const planted = { ...original, tenant, functionName: name, version, config: { ...original.config, name } };
    await this.#registry.putVersion(planted);
    await this.#registry.deployFunction(planted);
    return `${this.#platform.url}/fn/${tenant}/${name}`;
  }
}
