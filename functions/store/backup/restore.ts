/**
 * Restores a backup while everything runs. The file is read twice: first all of it is checked, then
 * artefacts go into their store, where nobody needs them yet, and records into keys that nobody
 * reads. One script of Redis gives these keys their names, takes away what they replace, and tells
 * gateways and workers. So whoever looks sees all of it or nothing, and a restore that broke off is
 * done again. Changes are refused meanwhile (RESTORE_RUNNING), and nothing is collected.
 */
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { type BackupArtifact, type BackupRecord, readBackup } from "../../model/backup/contents.ts";
import type { BackupSummary } from "../../model/backup/summary.ts";
import type { FileArtifactStore } from "../artifacts.ts";
import type { DataKeys } from "../data-keys.ts";
import { prepareData } from "../form/data-form.ts";
import { CollectionLock } from "../gc-lock.ts";
import { type CheckedBackup, checkBackup } from "./check.ts";
import { commitRestore, listReplaced } from "./commit.ts";
import { settleRestored } from "./following.ts";
import { PARTS_BY_NAME } from "./parts.ts";
import { Staging } from "./staging.ts";
import { refuseToReplace, Standing } from "./standing.ts";

export interface RestoreParts {
  /** Its commands may take long. */
  redis: Redis;
  artifacts: FileArtifactStore;
  dataKeys: DataKeys;
}

export interface RestoreOptions {
  /** Whether what is there may go. */
  replace: boolean;
  /** Leaves secrets, data keys and signing keys out; those that are there stay. */
  withoutSecrets: boolean;
}

/** Attempts at the last step, when something is deployed at that moment. */
const MOST_ATTEMPTS = 20;

/**
 * @param open gives the file from its beginning, each time anew; it must not change
 * @throws SandpiperError BACKUP_INVALID, DATA_TOO_NEW, MASTER_KEY_MISSING, RESTORE_REFUSED,
 * RESTORE_RUNNING, BACKUP_RUNNING, GC_RUNNING, STORAGE_FULL: nothing is restored then
 */
export async function restoreBackup(
  parts: RestoreParts,
  open: () => AsyncIterable<Uint8Array>,
  options: RestoreOptions,
): Promise<BackupSummary> {
  const { redis } = parts;
  return CollectionLock.hold(redis, "restore", async (lock) => {
    await refuseToReplace(redis, options.replace);
    const checked = await checkBackup(open(), { ...options, dataKeys: parts.dataKeys });
    await new Restore(parts, checked, options, lock).run(open());
    return checked.summary;
  });
}

class Restore {
  readonly #parts: RestoreParts;
  readonly #checked: CheckedBackup;
  readonly #options: RestoreOptions;
  readonly #lock: CollectionLock;
  readonly #id = randomUUID();

  constructor(parts: RestoreParts, checked: CheckedBackup, options: RestoreOptions, lock: CollectionLock) {
    this.#parts = parts;
    this.#checked = checked;
    this.#options = options;
    this.#lock = lock;
  }

  async run(file: AsyncIterable<Uint8Array>): Promise<void> {
    const { redis, dataKeys } = this.#parts;
    const tenants = Object.keys(this.#checked.summary.tenants);
    const standing = await Standing.read(redis, tenants, PARTS_BY_NAME);
    const staging = new Staging(redis, this.#id, standing);
    await this.#write(file, staging);
    await staging.finish();
    const { form } = this.#checked.summary.header;
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      this.#lock.check();
      await refuseToReplace(redis, this.#options.replace);
      const { withoutSecrets } = this.#options;
      const revision = await listReplaced(redis, this.#id, { staging, standing, withoutSecrets, tenants });
      const canaries = dataKeys.canariesOf(this.#checked.masterKeys);
      const commit = { restore: this.#id, token: this.#lock.token, revision, form, canaries };
      if (await commitRestore(redis, commit)) break;
    }
    // The file may be of an older form than this Sandpiper's.
    await prepareData(this.#parts);
    await settleRestored(redis);
  }

  async #write(file: AsyncIterable<Uint8Array>, staging: Staging): Promise<void> {
    const { artifacts } = this.#parts;
    const { dropped } = this.#checked;
    const items = readBackup(file);
    try {
      for (let next = await items.next(); !next.done; next = await items.next()) {
        const item = next.value;
        this.#lock.check();
        if (item.kind !== "artifact" && item.kind !== "record") continue;
        const { tenant } = item.value;
        if (tenant !== null && dropped.has(tenant)) continue;
        if (item.kind === "record") await this.#stage(item.value, staging);
        else await putArtifact(artifacts, item.value, piecesOf(items, item.value.bytes));
      }
    } finally {
      await items.return(undefined);
    }
  }

  async #stage(record: BackupRecord, staging: Staging): Promise<void> {
    const part = PARTS_BY_NAME.get(record.part);
    if (part === undefined || (part.isSecret && this.#options.withoutSecrets)) return;
    await staging.add(part, record);
  }
}

/** Keeps an artefact; of one that is there the pieces are passed over by whoever reads on. */
async function putArtifact(
  artifacts: FileArtifactStore,
  { sha256, tenant }: BackupArtifact,
  pieces: AsyncIterable<Uint8Array>,
): Promise<void> {
  const store = tenant === null ? artifacts : artifacts.sourcesOf(tenant);
  if (!(await store.has(sha256))) await store.putPieces(sha256, pieces);
}

/** The pieces of an artefact, which follow its head. */
async function* piecesOf(items: ReturnType<typeof readBackup>, bytes: number): AsyncGenerator<Buffer> {
  for (let left = bytes; left > 0; ) {
    const { value } = await items.next();
    if (value?.kind !== "bytes") return;
    left -= value.value.length;
    yield value.value;
  }
}
