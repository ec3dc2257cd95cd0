/** Counts the contents of a backup file, for people. */
import type { BackupHeader, BackupItem, BackupRecord, BackupTrailer } from "./contents.ts";

export interface BackupSummary extends Pick<BackupTrailer, "artifacts" | "artifactBytes"> {
  header: BackupHeader;
  /** By tenant: its functions, in order. */
  tenants: Record<string, string[]>;
  versions: number;
  secrets: number;
  keys: number;
  /** Ids of the master keys that the data keys are sealed with. */
  masterKeys: string[];
  /** Artefacts of versions that lacked already where the backup was made. */
  missing: number;
}

const SEALED = /^sp1\.([0-9a-f]{8,32})\./;
const SECRET_PARTS = ["secrets", "function-secrets"];

/** Counts the items of a file that is read to its end. */
export class SummaryCounter {
  #header: BackupHeader | null = null;
  readonly #tenants = new Map<string, string[]>();
  readonly #counts = { versions: 0, secrets: 0, keys: 0, missing: 0, artifacts: 0, artifactBytes: 0 };
  readonly #masterKeys = new Set<string>();

  note(item: BackupItem): void {
    if (item.kind === "header") this.#header = item.value;
    if (item.kind === "trailer") {
      this.#counts.artifacts = item.value.artifacts;
      this.#counts.artifactBytes = item.value.artifactBytes;
    }
    if (item.kind === "record") this.#record(item.value);
  }

  #record({ part, tenant, name, entries }: BackupRecord): void {
    if (tenant !== null) this.#ofTenant(part, tenant, name);
    if (part === "versions") this.#counts.versions += entries.filter(([field = ""]) => !field.includes(":")).length;
    if (SECRET_PARTS.includes(part)) this.#counts.secrets += entries.length;
    if (part === "key") this.#counts.keys += 1;
    if (part === "missing") this.#counts.missing += entries.length;
    if (part === "data-keys") for (const [, sealed = ""] of entries) this.#noteMasterKey(sealed);
  }

  #ofTenant(part: string, tenant: string, name: string | null): void {
    if (part === "tenant") this.#tenants.set(tenant, []);
    if (part === "dropped") this.#tenants.delete(tenant);
    if (part === "function") this.#tenants.get(tenant)?.push(name ?? "");
  }

  /** Of a file that was read whole. */
  get summary(): BackupSummary {
    if (this.#header === null) throw new Error("a backup without a header was read");
    const tenants = Object.fromEntries([...this.#tenants].map(([tenant, names]) => [tenant, names.sort()]));
    return { header: this.#header, tenants, ...this.#counts, masterKeys: [...this.#masterKeys].sort() };
  }

  #noteMasterKey(sealed: string): void {
    const [, id] = SEALED.exec(sealed) ?? [];
    if (id !== undefined) this.#masterKeys.add(id);
  }
}
