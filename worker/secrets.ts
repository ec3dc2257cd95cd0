/** The secrets and environments of the versions that a worker runs. */
import type { Redis } from "ioredis";
import type { Version } from "../functions/model/version.ts";
import { SealError } from "../functions/secrets/cipher.ts";
import type { MasterKeys } from "../functions/secrets/master-keys.ts";
import { DataKeys } from "../functions/store/data-keys.ts";
import { prepareData } from "../functions/store/form/data-form.ts";
import { SecretStore } from "../functions/store/secrets.ts";
import { unfitOn } from "../infra/master-keys.ts";
import { unfitOnCode } from "../infra/service.ts";
import { Environments, type EnvironmentsOptions, type VersionEnvironment } from "./code/environments.ts";
import type { CallLog } from "./outcome/call-log.ts";
import { LoadFailure } from "./outcome/outcome.ts";

/** How often versions are forgotten of which no instance is left. */
const FORGET_MS = 60_000;

type WorkerSecretsOptions = Omit<EnvironmentsOptions, "secrets"> & { redis: Redis; masterKeys: MasterKeys };

export class WorkerSecrets {
  readonly environments: Environments;
  readonly #redis: Redis;
  readonly #dataKeys: DataKeys;
  readonly #timer: NodeJS.Timeout;

  constructor({ masterKeys, ...options }: WorkerSecretsOptions) {
    this.#redis = options.redis;
    this.#dataKeys = new DataKeys(options.redis, masterKeys);
    const secrets = new SecretStore(options.redis, this.#dataKeys);
    this.environments = new Environments({ ...options, secrets });
    this.#timer = setInterval(() => this.environments.dropUnused(), FORGET_MS).unref();
  }

  /**
   * Has the data be of this Sandpiper's form.
   * @throws UnfitError when it is newer, or the master keys are not those of this Redis
   */
  async openData(): Promise<void> {
    const parts = { redis: this.#redis, dataKeys: this.#dataKeys };
    await prepareData(parts).catch(unfitOn(SealError)).catch(unfitOnCode("DATA_TOO_NEW"));
  }

  /**
   * The environment of a version. What it lacks its author reads in the log.
   * @throws CallFailure, as `Environments.of` does
   */
  async environmentOf(version: Version, log: CallLog): Promise<VersionEnvironment> {
    try {
      return await this.environments.of(version);
    } catch (error) {
      if (error instanceof LoadFailure) log.say("error", error.thrown);
      throw error;
    }
  }

  /** Hears of no change any more. */
  close(): void {
    clearInterval(this.#timer);
    this.environments.close();
  }
}
