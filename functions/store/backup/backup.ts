/**
 * Makes a backup while everything runs. Collections wait until it is done, so that no artefact goes
 * that a version needs.
 *
 * - A function, its versions, aliases, history, secrets and signing keys are of one moment, each
 *   function of its own. Its artefacts are there: they were read before it is named.
 * - The data keys of a tenant are read after what is sealed with them.
 * - A tenant that is deleted meanwhile is not in it.
 */
import type { Redis } from "ioredis";
import type { BackupHeader, BackupRecord } from "../../model/backup/contents.ts";
import { FrameWriter, MAGIC } from "../../model/backup/frames.ts";
import { ownVersion } from "../../model/backup/own-version.ts";
import { scanKeys } from "../../redis/scan.ts";
import type { FileArtifactStore } from "../artifacts.ts";
import { DATA_FORM } from "../form/form-steps.ts";
import { functionsKey, secretScopesKey } from "../function-keys.ts";
import { CollectionLock } from "../gc-lock.ts";
import { keyOf } from "../tenant.ts";
import { listTenants } from "../tenant-states.ts";
import { ArtifactSender } from "./artifact-sender.ts";
import { readFunction } from "./function-reader.ts";
import { keyOfPart, PARTS, PARTS_BY_NAME, type Part, tenantOf } from "./parts.ts";

export interface BackupParts {
  /** Its commands may take long, as versions are large. */
  redis: Redis;
  artifacts: FileArtifactStore;
}

/** Entries of one record: far below the most that a reader takes. */
const PAGE = 500;
const TENANT_PARTS = PARTS.filter(({ of }) => of === "tenant");

type Entries = string[][];

/**
 * The pieces of a backup file. Ends the lock when it ends, or is ended.
 * @throws SandpiperError BACKUP_RUNNING, RESTORE_RUNNING, GC_RUNNING
 */
export async function openBackup(parts: BackupParts): Promise<AsyncGenerator<Buffer>> {
  const lock = await CollectionLock.take(parts.redis, "backup");
  return piecesOf(new Backup(parts, lock), lock.keep());
}

async function* piecesOf(backup: Backup, end: () => Promise<void>): AsyncGenerator<Buffer> {
  try {
    yield* backup.pieces();
  } finally {
    await end();
  }
}

class Backup {
  readonly #redis: Redis;
  readonly #lock: CollectionLock;
  readonly #writer = new FrameWriter();
  readonly #artifacts: ArtifactSender;
  #records = 0;

  constructor({ redis, artifacts }: BackupParts, lock: CollectionLock) {
    this.#redis = redis;
    this.#lock = lock;
    this.#artifacts = new ArtifactSender(artifacts, this.#writer);
  }

  async *pieces(): AsyncGenerator<Buffer> {
    const tenants = (await listTenants(this.#redis)).filter(({ state }) => !state.startsWith("delet"));
    const names = tenants.map(({ tenant }) => tenant);
    yield MAGIC;
    yield this.#writer.json("header", await this.#header(names));
    yield* this.#global("revisions");
    for (const tenant of names) yield* this.#tenant(tenant);
    yield* this.#usage(new Set(names));
    yield* this.#global("operator-audit");
    const { artifacts, artifactBytes } = this.#artifacts;
    const counts = { records: this.#records, artifacts, artifactBytes };
    yield this.#writer.json("trailer", { ...counts, sha256: this.#writer.digest() });
  }

  async #header(tenants: readonly string[]): Promise<BackupHeader> {
    let functions = 0;
    for (const tenant of tenants) functions += await this.#redis.scard(functionsKey(tenant));
    return { form: DATA_FORM, sandpiper: ownVersion(), createdAt: new Date().toISOString(), functions };
  }

  async *#tenant(tenant: string): AsyncGenerator<Buffer> {
    const [first, ...others] = TENANT_PARTS;
    if (first !== undefined) yield* this.#part(first, tenant);
    const carried = new Set<string>();
    for (const name of (await this.#redis.smembers(functionsKey(tenant))).sort()) {
      yield* this.#function(tenant, name, carried);
    }
    yield* this.#secretsOfNone(tenant, carried);
    yield* this.#keys(tenant);
    for (const part of others) yield* this.#part(part, tenant);
    const after = (await listTenants(this.#redis)).find((one) => one.tenant === tenant);
    if (after === undefined || after.state.startsWith("delet")) yield this.#record("dropped", tenant, null, []);
  }

  async *#function(tenant: string, name: string, carried: Set<string>): AsyncGenerator<Buffer> {
    const found = await readFunction(this.#redis, { tenant, functionName: name });
    if (found === null) return;
    const sent = yield* this.#artifacts.send(tenant, found);
    this.#lock.check();
    if (sent.missing.length > 0)
      yield this.#record(
        "missing",
        tenant,
        name,
        sent.missing.map((digest) => [digest]),
      );
    for (const [digest, entries] of found.versions) {
      if (!sent.leftOut.has(digest)) yield this.#record("versions", tenant, name, entries);
    }
    for (const [part, entries] of found.records) {
      if (entries.length > 0) yield this.#record(part, tenant, name, entries);
    }
    carried.add(name);
  }

  /** Secrets may be set for functions that are deployed later. */
  async *#secretsOfNone(tenant: string, carried: ReadonlySet<string>): AsyncGenerator<Buffer> {
    const part = PARTS_BY_NAME.get("function-secrets") as Part;
    for (const name of (await this.#redis.smembers(secretScopesKey(tenant))).sort()) {
      if (!carried.has(name)) yield* this.#part(part, tenant, name);
    }
  }

  async *#keys(tenant: string): AsyncGenerator<Buffer> {
    const list = PARTS_BY_NAME.get("key-list") as Part;
    for (const id of await this.#redis.hkeys(keyOfPart(list, tenant, null))) {
      yield* this.#expiring("key", tenant, id, keyOf(id), async (key) => {
        const text = await this.#redis.get(key);
        return text === null ? [] : [[text]];
      });
    }
  }

  async *#usage(tenants: ReadonlySet<string>): AsyncGenerator<Buffer> {
    const pattern = keyOfPart(PARTS_BY_NAME.get("usage") as Part, "*", "*");
    for await (const key of scanKeys(this.#redis, pattern)) {
      const [, , tenant = "", hour = ""] = key.split(":");
      if (!tenants.has(tenant)) continue;
      yield* this.#expiring("usage", tenant, hour, key, async () => Object.entries(await this.#redis.hgetall(key)));
    }
  }

  /** A key that goes by itself at some time. */
  async *#expiring(
    part: string,
    tenant: string,
    name: string,
    key: string,
    read: (key: string) => Promise<Entries>,
  ): AsyncGenerator<Buffer> {
    const ttlMs = await this.#redis.pttl(key);
    const entries = await read(key);
    // Gone, or about to go.
    if (entries.length === 0 || ttlMs === -2) return;
    yield this.#record(part, tenant, name, entries, ttlMs < 0 ? {} : { expiresAtMs: Date.now() + ttlMs });
  }

  #global(name: string): AsyncGenerator<Buffer> {
    return this.#part(PARTS_BY_NAME.get(name) as Part, null);
  }

  async *#part(part: Part, tenant: string | null, name: string | null = null): AsyncGenerator<Buffer> {
    for await (const entries of this.#entriesOf(part, tenant, name)) {
      if (entries.length > 0) yield this.#record(part.part, tenant, name, entries);
    }
  }

  async *#entriesOf(part: Part, tenant: string | null, name: string | null): AsyncGenerator<Entries> {
    const [redis, key] = [this.#redis, keyOfPart(part, tenant, name)];
    if (part.kind === "stream") yield* this.#stream(key);
    else if (part.kind === "hash") yield Object.entries(await redis.hgetall(key));
    else if (part.kind === "list") yield (await redis.lrange(key, 0, -1)).map((value) => [value]);
    else if (part.kind === "fields") {
      yield Object.entries(await redis.hgetall(key)).filter(([field]) => tenantOf(field) === tenant);
    } else {
      const text = part.kind === "string" ? await redis.get(key) : await redis.hget(key, tenant ?? "");
      if (text !== null) yield [[text]];
    }
  }

  async *#stream(key: string): AsyncGenerator<Entries> {
    for (let oldest = "-"; ; ) {
      const page = await this.#redis.xrange(key, oldest, "+", "COUNT", PAGE);
      const last = page.at(-1);
      if (last === undefined) return;
      yield page.map(([id, [, text = ""]]) => [id, text]);
      oldest = `(${last[0]}`;
    }
  }

  #record(
    part: string,
    tenant: string | null,
    name: string | null,
    entries: Entries,
    more: Pick<BackupRecord, "expiresAtMs"> = {},
  ): Buffer {
    this.#records += 1;
    return this.#writer.json("record", { part, tenant, name, entries, ...more } satisfies BackupRecord);
  }
}
