/** Looks at all of a backup file before anything of it is written. */
import type { AliasTarget } from "../../model/alias.ts";
import { type BackupItem, type BackupRecord, readBackup } from "../../model/backup/contents.ts";
import { invalid } from "../../model/backup/frames.ts";
import { type BackupSummary, SummaryCounter } from "../../model/backup/summary.ts";
import { SandpiperError } from "../../model/errors.ts";
import type { Version } from "../../model/version.ts";
import { SealError } from "../../secrets/cipher.ts";
import type { DataKeys } from "../data-keys.ts";
import { DATA_FORM } from "../form/form-steps.ts";
import { checkedPart } from "./parts.ts";
import { artifactsOf } from "./version-check.ts";

export interface CheckedBackup {
  summary: BackupSummary;
  /** Tenants that were deleted while the backup was made: nothing of them is restored. */
  dropped: ReadonlySet<string>;
  /** Ids of the master keys that are needed. */
  masterKeys: ReadonlySet<string>;
}

export interface CheckOptions {
  dataKeys: DataKeys;
  withoutSecrets: boolean;
}

/** Records that may follow one of the same part. */
const MANY = new Set(["versions", "audit", "operator-audit", "usage", "key"]);

/** The function whose versions are being read. */
interface OpenFunction {
  id: string;
  versions: Set<string>;
  needs: Set<string>;
}

/**
 * Reads a file to its end.
 * @throws SandpiperError BACKUP_INVALID, DATA_TOO_NEW, MASTER_KEY_MISSING
 */
export async function checkBackup(source: AsyncIterable<Uint8Array>, options: CheckOptions): Promise<CheckedBackup> {
  const [check, counter] = [new BackupCheck(options), new SummaryCounter()];
  for await (const item of readBackup(source)) {
    check.note(item);
    counter.note(item);
  }
  return { summary: counter.summary, dropped: check.dropped, masterKeys: check.masterKeys };
}

class BackupCheck {
  readonly dropped = new Set<string>();
  readonly masterKeys = new Set<string>();
  readonly #options: CheckOptions;
  readonly #tenants = new Set<string>();
  /** Digests of those that a version needs. */
  readonly #artifacts = new Set<string>();
  readonly #seen = new Set<string>();
  #last = "";
  #lastStreamId = "";
  #open: OpenFunction | null = null;

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  note(item: BackupItem): void {
    if (item.kind === "header") refuseNewer(item.value.form);
    if (item.kind === "artifact" && item.value.tenant === null) this.#artifacts.add(item.value.sha256);
    if (item.kind === "record") this.#record(item.value);
    if (item.kind === "trailer" && this.#open !== null) throw invalid(`it has no function ${this.#open.id}`);
  }

  #record(record: BackupRecord): void {
    const { part, tenant, name } = record;
    this.#refuseTwice(record);
    if (part === "tenant" && tenant !== null) this.#tenants.add(tenant);
    if (tenant !== null && !this.#tenants.has(tenant)) throw invalid(`it has something of ${tenant} before the tenant`);
    if (part === "dropped" && tenant !== null) this.dropped.add(tenant);
    else if (part === "missing") this.#missing(`${tenant}/${name}`, record);
    else this.#part(record);
  }

  #part(record: BackupRecord): void {
    const { part, tenant, name } = record;
    const id = `${tenant}/${name}`;
    const { kind } = checkedPart(record);
    if (kind === "stream") this.#ordered(record);
    if (part === "data-keys" && !this.#options.withoutSecrets) this.#dataKeys(record);
    if (part === "versions") this.#versions(id, record);
    if (part === "function") this.#function(id, record);
  }

  #refuseTwice({ part, tenant, name }: BackupRecord): void {
    const key = [part, tenant, name].join(" ");
    if (MANY.has(part) && (key === this.#last || part === "usage" || part === "key")) return;
    if (this.#seen.has(key)) throw invalid(`it has the ${part} of ${[tenant, name].join("/")} twice`);
    this.#seen.add(key);
    [this.#last, this.#lastStreamId] = [key, ""];
  }

  #ordered({ part, entries }: BackupRecord): void {
    for (const [id = ""] of entries) {
      if (!isLater(id, this.#lastStreamId)) throw invalid(`its ${part} is not in order`);
      this.#lastStreamId = id;
    }
  }

  #dataKeys({ tenant, entries }: BackupRecord): void {
    for (const [id = "", sealed = ""] of entries) {
      if (id === "current") continue;
      try {
        this.masterKeys.add(this.#options.dataKeys.check(tenant ?? "", id, sealed));
      } catch (error) {
        throw error instanceof SealError
          ? invalid(`the data key ${id} of ${tenant} does not open: ${error.message}`)
          : error;
      }
    }
  }

  #versions(id: string, { entries }: BackupRecord): void {
    const open = this.#opened(id);
    for (const [field = "", text = ""] of entries) {
      if (field.includes(":")) continue;
      open.versions.add(field);
      for (const digest of artifactsOf(JSON.parse(text) as Version).shared) open.needs.add(digest);
    }
  }

  #missing(id: string, { entries }: BackupRecord): void {
    this.#opened(id);
    // Known to lack where the backup was made: nothing here can bring it back.
    for (const [digest = ""] of entries) this.#artifacts.add(digest);
  }

  #opened(id: string): OpenFunction {
    if (this.#open !== null && this.#open.id !== id) throw invalid(`it has no function ${this.#open.id}`);
    this.#open ??= { id, versions: new Set(), needs: new Set() };
    return this.#open;
  }

  #function(id: string, { entries }: BackupRecord): void {
    const { versions, needs } = this.#opened(id);
    const targets = entries.filter(([field = ""]) => field.startsWith("alias:"));
    const named = targets.flatMap(([, text = ""]) =>
      (JSON.parse(text) as AliasTarget).routes.map((one) => one.version),
    );
    const live = entries.find(([field]) => field === "version")?.[1];
    const lacking = [live ?? "", ...named].find((digest) => !versions.has(digest));
    if (lacking !== undefined)
      throw invalid(`the function ${id} names the version ${lacking.slice(0, 64)}, which it lacks`);
    const artifact = [...needs].find((one) => !this.#artifacts.has(one));
    if (artifact !== undefined) throw invalid(`the function ${id} needs the artefact ${artifact}, which it lacks`);
    this.#open = null;
  }
}

function refuseNewer(form: number): void {
  if (form <= DATA_FORM) return;
  const message = `The backup has the form ${form}, as a newer Sandpiper made it, and this one knows forms up to ${DATA_FORM}.`;
  throw new SandpiperError("DATA_TOO_NEW", { message });
}

/** Whether an id of a stream is later than another; anything is later than nothing. */
export function isLater(id: string, other: string): boolean {
  if (other === "") return true;
  const [[ms = 0, count = 0], [otherMs = 0, otherCount = 0]] = [id, other].map((one) => one.split("-").map(Number)) as [
    number[],
    number[],
  ];
  return ms > otherMs || (ms === otherMs && count > otherCount);
}
