/** Sends the artefacts of functions in a backup, each once. */
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { type FrameWriter, PIECE_BYTES } from "../../model/backup/frames.ts";
import type { Version } from "../../model/version.ts";
import type { FileArtifactStore } from "../artifacts.ts";
import type { ReadFunction } from "./function-reader.ts";
import { artifactsOf } from "./version-check.ts";

/** Artefacts that could not be sent. */
export interface SentArtifacts {
  /** Digests of what is not in the store, or damaged there, and a version needs that is named. */
  missing: string[];
  /** Versions that nobody names and that lack something. */
  leftOut: ReadonlySet<string>;
}

export class ArtifactSender {
  readonly #artifacts: FileArtifactStore;
  readonly #writer: FrameWriter;
  /** "tenant digest" of what was sent. */
  readonly #sent = new Set<string>();
  artifacts = 0;
  artifactBytes = 0;

  constructor(artifacts: FileArtifactStore, writer: FrameWriter) {
    this.#artifacts = artifacts;
    this.#writer = writer;
  }

  /** The pieces of all that the function's versions need and that was not sent yet. */
  async *send(tenant: string, { parsed, named }: ReadFunction): AsyncGenerator<Buffer, SentArtifacts> {
    const missing = new Set<string>();
    const leftOut = new Set<string>();
    for (const version of parsed) {
      const lacking = yield* this.#ofVersion(tenant, version);
      if (lacking.length === 0) continue;
      if (named.has(version.version)) for (const digest of lacking) missing.add(digest);
      else leftOut.add(version.version);
    }
    return { missing: [...missing], leftOut };
  }

  /** @returns digests of what it needs and that is not in the store */
  async *#ofVersion(tenant: string, version: Version): AsyncGenerator<Buffer, string[]> {
    const { shared, sources } = artifactsOf(version);
    const lacking: string[] = [];
    for (const digest of shared) if (!(yield* this.#one(null, digest))) lacking.push(digest);
    // They save uploads alone, and are there of deployments that uploaded them first.
    for (const digest of sources) yield* this.#one(tenant, digest);
    return lacking;
  }

  /** @returns whether it is in the backup */
  async *#one(tenant: string | null, digest: string): AsyncGenerator<Buffer, boolean> {
    const name = `${tenant ?? ""} ${digest}`;
    if (this.#sent.has(name)) return true;
    const store = tenant === null ? this.#artifacts : this.#artifacts.sourcesOf(tenant);
    const file = await store.open(digest);
    if (file === null) return false;
    try {
      const bytes = await sizeIfWhole(file, digest);
      if (bytes === null) return false;
      yield this.#writer.json("artifact", { sha256: digest, tenant, bytes });
      for await (const piece of piecesOf(file)) yield this.#writer.frame("bytes", piece);
      this.artifacts += 1;
      this.artifactBytes += bytes;
    } finally {
      await file.close();
    }
    this.#sent.add(name);
    return true;
  }
}

/** Bytes of a file; null when they have another digest. Nothing that was sent can be unsent. */
async function sizeIfWhole(file: FileHandle, digest: string): Promise<number | null> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const piece of piecesOf(file)) {
    hash.update(piece);
    bytes += piece.length;
  }
  return hash.digest("hex") === digest ? bytes : null;
}

async function* piecesOf(file: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(PIECE_BYTES), 0, PIECE_BYTES, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
