/**
 * The frames of a backup file. The file begins with a line that names its form; then come frames:
 *
 *   u8 kind, u32 LE length, u32 LE CRC-32 of these five bytes and the content, the content
 *
 * The content of `bytes` is a piece of an artefact, that of all others is JSON in UTF-8. The
 * trailer is the last frame and has the SHA-256 of all before it, so that a file that was cut or
 * changed is known as that. Nothing of a file is believed before its length is within bounds.
 */
import { createHash, type Hash } from "node:crypto";
import { crc32 } from "node:zlib";
import { KIB, MIB } from "../../../infra/std/bytes.ts";
import { SandpiperError } from "../errors.ts";

/** First bytes of a file, with the number of its form. */
export const MAGIC = Buffer.from("SANDPIPER BACKUP 1\n");

export const FRAME_KINDS = ["header", "record", "artifact", "bytes", "trailer"] as const;
export type FrameKind = (typeof FRAME_KINDS)[number];

/** Most bytes of an artefact in one frame. */
export const PIECE_BYTES = 256 * KIB;

/** Most bytes of a frame's content. */
const MOST_BYTES: Readonly<Record<FrameKind, number>> = {
  header: 64 * KIB,
  // One version with all of its file names, or a list of them below a megabyte.
  record: 16 * MIB,
  artifact: 4 * KIB,
  bytes: PIECE_BYTES,
  trailer: 64 * KIB,
};
const HEAD_BYTES = 9;

export interface Frame {
  kind: FrameKind;
  content: Buffer;
  /** SHA-256 of the file before this frame, in hex; of the trailer alone. */
  before: string | null;
}

/** Makes the frames of one file, in order. */
export class FrameWriter {
  readonly #hash: Hash = createHash("sha256").update(MAGIC);

  /** @throws Error when the content is larger than a reader takes */
  frame(kind: FrameKind, content: Uint8Array): Buffer {
    if (content.byteLength > MOST_BYTES[kind]) throw new Error(`a ${kind} of ${content.byteLength} bytes is too large`);
    const head = headOf(kind, content.byteLength);
    head.writeUInt32LE(crc32(content, crc32(head.subarray(0, 5))), 5);
    const frame = Buffer.concat([head, content]);
    this.#hash.update(frame);
    return frame;
  }

  json(kind: FrameKind, value: unknown): Buffer {
    return this.frame(kind, Buffer.from(JSON.stringify(value)));
  }

  /** SHA-256 of all that was made so far, in hex. */
  digest(): string {
    return this.#hash.copy().digest("hex");
  }
}

function headOf(kind: FrameKind, length: number): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt8(FRAME_KINDS.indexOf(kind) + 1, 0);
  head.writeUInt32LE(length, 1);
  return head;
}

/**
 * The frames of a file, each checked; ends with the trailer. Holds one frame in memory at most, and
 * the piece of the source that it came with.
 * @throws SandpiperError BACKUP_INVALID for what is no whole file
 */
export async function* readFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  const bytes = new ByteReader(source);
  try {
    yield* framesOf(bytes);
  } finally {
    await bytes.close();
  }
}

async function* framesOf(bytes: ByteReader): AsyncGenerator<Frame> {
  const hash = createHash("sha256");
  const magic = await bytes.take(MAGIC.length);
  if (!magic?.equals(MAGIC)) throw invalid("it does not begin as a backup of this form does");
  hash.update(magic);
  for (;;) {
    const { kind, head, content } = await frameAt(bytes);
    const isLast = kind === "trailer";
    yield { kind, content, before: isLast ? hash.copy().digest("hex") : null };
    if (isLast) break;
    hash.update(head).update(content);
  }
  if ((await bytes.take(1)) !== null) throw invalid(`something follows its trailer at byte ${bytes.position - 1}`);
}

async function frameAt(bytes: ByteReader): Promise<Omit<Frame, "before"> & { head: Buffer }> {
  const at = bytes.position;
  const head = await bytes.take(HEAD_BYTES);
  if (head === null) throw invalid(`it ends at byte ${bytes.position}, before its trailer: it was cut`);
  const kind = FRAME_KINDS[head.readUInt8(0) - 1];
  if (kind === undefined) throw invalid(`there is no frame at byte ${at}`);
  const length = head.readUInt32LE(1);
  if (length > MOST_BYTES[kind]) throw invalid(`the ${kind} at byte ${at} says that it has ${length} bytes`);
  const content = await bytes.take(length);
  if (content === null) throw invalid(`it ends within the ${kind} at byte ${at}: it was cut`);
  if (crc32(content, crc32(head.subarray(0, 5))) !== head.readUInt32LE(5)) {
    throw invalid(`the ${kind} at byte ${at} was changed: its checksum is another one`);
  }
  return { kind, head, content };
}

/** Says why a file is no backup. */
export function invalid(reason: string): SandpiperError {
  return new SandpiperError("BACKUP_INVALID", { message: `The file is no whole backup: ${reason}.` });
}

/** Takes so many bytes at a time from pieces of any size. */
class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Buffer[] = [];
  #bytes = 0;
  position = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }

  /** Null when fewer are left. */
  async take(length: number): Promise<Buffer | null> {
    while (this.#bytes < length || this.#held.length === 0) {
      const { done, value } = await this.#source.next();
      if (done) break;
      this.#held.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      this.#bytes += value.byteLength;
    }
    if (this.#bytes < length) return null;
    const all = this.#held.length === 1 ? (this.#held[0] as Buffer) : Buffer.concat(this.#held);
    this.#held = [all.subarray(length)];
    this.#bytes -= length;
    this.position += length;
    return all.subarray(0, length);
  }
}
