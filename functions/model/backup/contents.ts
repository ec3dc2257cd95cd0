/**
 * The contents of a backup file. After the header come records and artefacts, and at last the
 * trailer with their counts. A record has one part of what belongs to a tenant or function. A
 * function's artefacts and versions come before its `function`; a tenant's `tenant` comes before
 * all else of it. A tenant that was deleted while the backup was made has a `dropped` at its end.
 */
import { createHash, type Hash } from "node:crypto";
import { z } from "zod";
import { MIB } from "../../../infra/std/bytes.ts";
import { NAME_PATTERN } from "../manifest.ts";
import { type Frame, type FrameKind, invalid, readFrames } from "./frames.ts";

/** Largest artefact: packed sources of a function, and bundles, are smaller. */
const MAX_ARTIFACT_BYTES = 256 * MIB;

const count = z.int().min(0);
const digest = z.string().regex(/^[0-9a-f]{64}$/);
const name = z.string().regex(NAME_PATTERN);

const headerSchema = z.strictObject({
  /** The form of the data: functions/store/form/form-steps.ts. */
  form: z.int().min(1),
  /** The version of the Sandpiper that wrote it. */
  sandpiper: z.string().max(64),
  createdAt: z.iso.datetime(),
  /** As many functions as there were when it was begun; the trailer has how many came. */
  functions: count,
});
export type BackupHeader = z.output<typeof headerSchema>;

const recordSchema = z.strictObject({
  part: z.string().max(64),
  /** null: it is of no tenant. */
  tenant: name.nullable(),
  /** Of a function its name, of a key its id, of usage the hour; null: of all of the tenant. */
  name: z.string().max(128).nullable(),
  /** Fields with values, members, or values alone, as the part has it. */
  entries: z.array(z.array(z.string()).min(1).max(2)).max(100_000),
  /** Unix time in milliseconds. */
  expiresAtMs: count.optional(),
});
export type BackupRecord = z.output<typeof recordSchema>;

const artifactSchema = z.strictObject({
  sha256: digest,
  /** Whose source file it is; null: in the store of all. */
  tenant: name.nullable(),
  bytes: count.max(MAX_ARTIFACT_BYTES),
});
export type BackupArtifact = z.output<typeof artifactSchema>;

const trailerSchema = z.strictObject({
  records: count,
  artifacts: count,
  artifactBytes: count,
  /** SHA-256 of the file before the trailer. */
  sha256: digest,
});
export type BackupTrailer = z.output<typeof trailerSchema>;

export type BackupItem =
  | { kind: "header"; value: BackupHeader }
  | { kind: "record"; value: BackupRecord }
  | { kind: "artifact"; value: BackupArtifact }
  | { kind: "bytes"; value: Buffer }
  | { kind: "trailer"; value: BackupTrailer };

interface OpenArtifact {
  head: BackupArtifact;
  hash: Hash;
  left: number;
}

/**
 * Items of a file, in order. When they end without an error the file is whole: no artefact has
 * other bytes than its digest says, and nothing lacks. Whether records make sense together is not
 * looked at.
 * @throws SandpiperError BACKUP_INVALID
 */
export async function* readBackup(source: AsyncIterable<Uint8Array>): AsyncGenerator<BackupItem> {
  const order = new Order();
  for await (const frame of readFrames(source)) {
    order.expect(frame.kind);
    const item = itemOf(frame);
    // Before it is given on: whoever gets the last piece of an artefact may believe it.
    order.note(item, frame.before);
    yield item;
  }
}

/** Sees that all comes where it belongs, and is counted as it was. */
class Order {
  readonly #counted = { records: 0, artifacts: 0, artifactBytes: 0 };
  #open: OpenArtifact | null = null;
  #isFirst = true;

  expect(kind: FrameKind): void {
    if ((kind === "header") !== this.#isFirst) throw invalid("its header is not at its beginning");
    this.#isFirst = false;
    if ((kind === "bytes") !== (this.#open !== null)) throw invalid("an artefact is not where it belongs");
  }

  note(item: BackupItem, before: string | null): void {
    if (item.kind === "record") this.#counted.records += 1;
    if (item.kind === "artifact") this.#begin(item.value);
    if (item.kind === "bytes" && this.#open !== null) take(this.#open, item.value);
    if (item.kind === "trailer") checkTrailer(item.value, { ...this.#counted, sha256: before ?? "" });
    if (this.#open?.left === 0) this.#open = close(this.#open);
  }

  #begin(head: BackupArtifact): void {
    this.#counted.artifacts += 1;
    this.#counted.artifactBytes += head.bytes;
    this.#open = { head, hash: createHash("sha256"), left: head.bytes };
  }
}

function itemOf({ kind, content }: Frame): BackupItem {
  switch (kind) {
    case "header":
      return { kind, value: parsed(headerSchema, kind, content) };
    case "record":
      return { kind, value: parsed(recordSchema, kind, content) };
    case "artifact":
      return { kind, value: parsed(artifactSchema, kind, content) };
    case "trailer":
      return { kind, value: parsed(trailerSchema, kind, content) };
    case "bytes":
      return { kind, value: content };
  }
}

function parsed<T>(schema: z.ZodType<T>, kind: string, content: Buffer): T {
  let value: unknown;
  try {
    value = JSON.parse(content.toString());
  } catch {
    throw invalid(`a ${kind} is no JSON`);
  }
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const [issue] = error.issues;
  throw invalid(`a ${kind} is not of its form: ${issue?.path.join(".")}: ${issue?.message}`);
}

function take(open: OpenArtifact, bytes: Buffer): void {
  if (bytes.length === 0 || bytes.length > open.left) {
    throw invalid(`the artefact ${open.head.sha256} has more bytes than it says, or an empty piece`);
  }
  open.left -= bytes.length;
  open.hash.update(bytes);
}

function close({ head, hash }: OpenArtifact): null {
  if (hash.digest("hex") === head.sha256) return null;
  throw invalid(`the artefact ${head.sha256} has other bytes than its name says`);
}

function checkTrailer(said: BackupTrailer, found: BackupTrailer): void {
  if (said.sha256 !== found.sha256) throw invalid("it was changed: its SHA-256 is another one than its trailer says");
  const { records, artifacts, artifactBytes } = found;
  if (said.records === records && said.artifacts === artifacts && said.artifactBytes === artifactBytes) return;
  throw invalid("its trailer counts other things than it has");
}
