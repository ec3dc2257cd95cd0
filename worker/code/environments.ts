/**
 * The environments of versions, opened: what is configured, and the secrets that the version gets.
 * They are in memory for as long as an instance has them. When a secret changes, the environments
 * that had it are outdated, and so are the instances that were loaded with them: the pool gives
 * those no further call.
 */
import type { Redis } from "ioredis";
import { injectedSecrets } from "../../functions/model/egress-entry.ts";
import { lengthOf, MAX_ENV_LENGTH } from "../../functions/model/environment.ts";
import type { VersionRef } from "../../functions/model/invocation.ts";
import type { Version } from "../../functions/model/version.ts";
import { Announcements } from "../../functions/redis/announcements.ts";
import { SealError } from "../../functions/secrets/cipher.ts";
import { SECRET_CHANGES } from "../../functions/store/function-keys.ts";
import type { OpenedSecrets, SecretStore } from "../../functions/store/secrets.ts";
import type { EgressInjection } from "../../sandbox-core/index.ts";
import { CallFailure, LoadFailure } from "../outcome/outcome.ts";
import { SecretMask } from "../outcome/secret-mask.ts";
import { injectionsOf } from "./injections.ts";

/** The environment of a version, for the instances that are loaded with it. */
export class VersionEnvironment {
  readonly env: Readonly<Record<string, string>>;
  /** Fields put into requests on their way out: in no sandbox. */
  readonly injections: readonly EgressInjection[];
  /** Masks the secrets in both; null when there are none. */
  readonly mask: SecretMask | null;
  /** Whether a secret in it has another value by now. */
  isOutdated = false;

  constructor(
    env: Readonly<Record<string, string>>,
    secrets: Iterable<string> = [],
    injections: readonly EgressInjection[] = [],
  ) {
    this.env = env;
    this.injections = injections;
    this.mask = SecretMask.of(secrets);
  }
}

/** An environment that instances may have. */
interface Entry {
  readonly version: Version;
  readonly environment: WeakRef<VersionEnvironment>;
  /** What a change is compared with. */
  readonly stamp: string;
}

/** The secrets of a version: those in its environment, and those that are injected. */
interface VersionSecrets extends OpenedSecrets {
  injected: ReadonlyMap<string, string>;
}

/** An environment that is being opened. */
interface Coming {
  readonly version: Version;
  readonly opened: Promise<VersionEnvironment>;
  /** Whether a secret changed meanwhile, so that the next instance asks again. */
  isOutdated: boolean;
}

export interface EnvironmentsOptions {
  /** Must be patient. */
  redis: Redis;
  secrets: Pick<SecretStore, "open" | "openEnv">;
  /** Told when environments became outdated. */
  onOutdated(): void;
  /** Told why secrets could not be opened. */
  onTrouble(message: string, cause: unknown): void;
}

export class Environments {
  readonly #options: EnvironmentsOptions;
  readonly #announcements: Announcements;
  /** By version. */
  readonly #entries = new Map<string, Entry>();
  readonly #coming = new Map<string, Coming>();

  /** Announcements of changes come on a connection of its own. */
  constructor(options: EnvironmentsOptions) {
    this.#options = options;
    this.#announcements = new Announcements(options.redis, SECRET_CHANGES, {
      heard: (scope) => this.#changed(scope),
      // Kept ones are compared with what is there.
      listening: () => void this.#compareAll().catch(() => {}),
    });
  }

  /**
   * The environment of a version, as it is now.
   * @throws LoadFailure for the function's author: SECRET_MISSING, SECRET_UNFIT,
   * ENVIRONMENT_TOO_LARGE; CallFailure SECRETS_UNREADABLE
   */
  async of(version: Version): Promise<VersionEnvironment> {
    const key = keyOf(version);
    const known = this.#entries.get(key)?.environment.deref();
    if (known !== undefined) return known;
    let coming = this.#coming.get(key);
    if (coming === undefined) {
      const opened = this.#open(key, version).finally(() => this.#coming.delete(key));
      coming = { version, opened, isOutdated: false };
      this.#coming.set(key, coming);
    }
    return coming.opened;
  }

  /** Forgets versions of which no instance is left. */
  dropUnused(): void {
    for (const [key, { environment }] of this.#entries) if (!environment.deref()) this.#entries.delete(key);
  }

  /** Hears nothing more. */
  close(): void {
    this.#announcements.close();
  }

  async #open(key: string, version: Version): Promise<VersionEnvironment> {
    const { values, injected, stamp } = await this.#openSecrets(version);
    const configured = await this.#readable(version, async () =>
      version.env === undefined ? version.config.env : this.#options.secrets.openEnv(version, version.env),
    );
    const { secrets = [], egress = [] } = version.config;
    refuseMissing(version, [...secrets, ...injectedSecrets(egress)], new Map([...values, ...injected]));
    const env = { ...configured, ...Object.fromEntries(values) };
    refuseTooLarge(env);
    const environment = new VersionEnvironment(
      env,
      [...values.values(), ...injected.values()],
      injectionsOf(egress, injected),
    );
    environment.isOutdated = this.#coming.get(key)?.isOutdated === true;
    if (!environment.isOutdated) this.#entries.set(key, { version, environment: new WeakRef(environment), stamp });
    return environment;
  }

  /** A secret that is injected is in no environment. */
  #openSecrets(version: Version): Promise<VersionSecrets> {
    const { secrets: declared = null, egress = [] } = version.config;
    const names = injectedSecrets(egress);
    const { secrets } = this.#options;
    return this.#readable(version, async () => {
      const { values, stamp } = await secrets.open(version, declared);
      if (names.length === 0) return { values, stamp, injected: new Map() };
      const injected = await secrets.open(version, names);
      const others = [...values].filter(([name]) => !names.includes(name));
      return { values: new Map(others), injected: injected.values, stamp: stamp + injected.stamp };
    });
  }

  async #readable<T>(ref: VersionRef, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (cause) {
      if (!(cause instanceof SealError)) throw cause;
      this.#options.onTrouble(`secrets of ${ref.tenant}/${ref.functionName} cannot be opened`, cause);
      throw new CallFailure("platform_error", "SECRETS_UNREADABLE", undefined, cause);
    }
  }

  /** @param scope "tenant/function", or "tenant/" */
  #changed(scope: string): void {
    for (const coming of this.#coming.values()) coming.isOutdated ||= concerns(scope, coming.version);
    for (const [key, { version }] of this.#entries) if (concerns(scope, version)) this.#outdate(key);
    this.#options.onOutdated();
  }

  async #compareAll(): Promise<void> {
    for (const coming of this.#coming.values()) coming.isOutdated = true;
    for (const [key, { version, stamp }] of [...this.#entries]) {
      // One that cannot be opened says nothing of the others.
      const now = await this.#openSecrets(version).catch(() => null);
      if (now?.stamp !== stamp) this.#outdate(key);
    }
    this.#options.onOutdated();
  }

  #outdate(key: string): void {
    const environment = this.#entries.get(key)?.environment.deref();
    this.#entries.delete(key);
    if (environment !== undefined) environment.isOutdated = true;
  }
}

/** Whether a change of secrets, of "tenant/function" or of "tenant/", may concern a version. */
function concerns(scope: string, { tenant, functionName, config }: Version): boolean {
  if (scope === `${tenant}/${functionName}`) return true;
  return scope === `${tenant}/` && (config.secrets !== undefined || injectedSecrets(config.egress ?? []).length > 0);
}

function keyOf({ tenant, functionName, version }: VersionRef): string {
  return `${tenant}/${functionName}/${version}`;
}

function refuseMissing(
  { functionName }: VersionRef,
  names: readonly string[],
  values: ReadonlyMap<string, string>,
): void {
  const missing = names.filter((name) => !values.has(name));
  if (missing.length === 0) return;
  const [what, them] = missing.length === 1 ? ["secret", "it is"] : ["secrets", "they are"];
  const how = missing.map((name) => `sandpiper secret set ${name} --function ${functionName}`).join("\n  ");
  const where = `for ${functionName} alone, or without --function for all functions that name it`;
  throw new LoadFailure(
    "SECRET_MISSING",
    `The ${what} ${missing.join(", ")} ${what === "secret" ? "is" : "are"} declared, and ${them} not set. Set ${what === "secret" ? "it" : "them"} ${where}:\n  ${how}`,
  );
}

function refuseTooLarge(env: Readonly<Record<string, string>>): void {
  const length = lengthOf(env);
  if (length <= MAX_ENV_LENGTH) return;
  throw new LoadFailure(
    "ENVIRONMENT_TOO_LARGE",
    `"env" and secrets have ${length} characters together, and may have ${MAX_ENV_LENGTH}.`,
  );
}
