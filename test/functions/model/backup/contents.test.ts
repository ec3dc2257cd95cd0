/** Backup files that were cut, changed, or made by somebody who means no good. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { it } from "node:test";
import { readBackup } from "../../../../functions/model/backup/contents.ts";
import { FRAME_KINDS, FrameWriter, MAGIC, PIECE_BYTES } from "../../../../functions/model/backup/frames.ts";
import { SummaryCounter } from "../../../../functions/model/backup/summary.ts";
import { forged, type OpenFrame, onePiece, opened } from "../../../helpers/backups.ts";

const bytes = Buffer.from("bundle");
const sha256 = createHash("sha256").update(bytes).digest("hex");
const record = (
  part: string,
  tenant: string | null,
  name: string | null,
  entries: string[][] = [["x"]],
): OpenFrame => ({
  kind: "record",
  value: { part, tenant, name, entries },
});
const FRAMES: OpenFrame[] = [
  { kind: "header", value: { form: 1, sandpiper: "0", createdAt: "2026-01-01T00:00:00.000Z", functions: 1 } },
  record("tenant", "main", null),
  { kind: "artifact", value: { sha256, tenant: null, bytes: bytes.length } },
  { kind: "bytes", value: bytes },
  record("function", "main", "hello"),
  { kind: "trailer", value: {} },
];
const WHOLE = forged(FRAMES);

async function read(source: AsyncIterable<Uint8Array>): Promise<SummaryCounter> {
  const counter = new SummaryCounter();
  for await (const item of readBackup(source)) counter.note(item);
  return counter;
}

const isRefused = (file: Uint8Array, reason?: RegExp) =>
  assert.rejects(read(onePiece(file)), { code: "BACKUP_INVALID", ...(reason && { message: reason }) });

async function* inPieces(file: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < file.length; at += size) yield file.subarray(at, at + size);
}

it("is read whole, whatever pieces it comes in", async () => {
  for (const size of [1, 7, 4_096]) {
    const { summary } = await read(inPieces(WHOLE, size));
    assert.deepEqual([summary.tenants, summary.artifacts, summary.artifactBytes], [{ main: ["hello"] }, 1, 6]);
  }
});

it("is refused when it was cut, at whatever byte", async () => {
  for (let length = 0; length < WHOLE.length; length++) await isRefused(WHOLE.subarray(0, length));
});

it("is refused when any bit of it was changed", async () => {
  for (let at = 0; at < WHOLE.length; at++) {
    const changed = Buffer.from(WHOLE);
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    await isRefused(changed);
  }
});

it("is refused with something behind its end, or frames left out, twice or in another order", async () => {
  await isRefused(Buffer.concat([WHOLE, Buffer.from([0])]), /follows its trailer/);
  await isRefused(Buffer.concat([WHOLE, WHOLE]));
  const last = FRAMES.length - 1;
  for (const frames of [FRAMES.slice(1), FRAMES.toSpliced(1, 0, FRAMES[0] as OpenFrame), FRAMES.toSpliced(3, 1)]) {
    await isRefused(forged(frames));
  }
  await isRefused(forged(FRAMES.toSpliced(3, 0, FRAMES[3] as OpenFrame)));
  // Whoever takes a frame out leaves the trailer of before.
  const writer = new FrameWriter();
  const kept = FRAMES.toSpliced(1, 1).slice(0, last - 1);
  const parts = kept.map(({ kind, value }) =>
    kind === "bytes" ? writer.frame(kind, value) : writer.json(kind, value),
  );
  const trailer = { records: 2, artifacts: 1, artifactBytes: 6, sha256: "0".repeat(64) };
  await isRefused(Buffer.concat([MAGIC, ...parts, writer.json("trailer", trailer)]), /its SHA-256 is another one/);
});

it("names lengths that nobody reads", async () => {
  for (const [index, kind] of FRAME_KINDS.entries()) {
    const head = Buffer.alloc(9);
    head.writeUInt8(index + 1, 0);
    head.writeUInt32LE(0xffff_ffff, 1);
    await isRefused(Buffer.concat([MAGIC, head]), new RegExp(`the ${kind} at byte 19 says that it has 4294967295`));
  }
});

it("has artefacts of their own bytes alone, and of sizes that there can be", async () => {
  const artifact = (value: object, content = bytes) =>
    forged(
      FRAMES.toSpliced(
        2,
        2,
        { kind: "artifact", value: { ...FRAMES[2]?.value, ...value } },
        { kind: "bytes", value: content },
      ),
    );
  await isRefused(artifact({ sha256: "0".repeat(64) }), /has other bytes than its name says/);
  await isRefused(artifact({ bytes: 5 }), /has more bytes than it says/);
  await isRefused(artifact({}, Buffer.alloc(0)), /an empty piece/);
  for (const size of [2 ** 53, 2 ** 53 - 1, -1, 1.5, 2 ** 40])
    await isRefused(artifact({ bytes: size }), /artifact is not/);
  for (const name of ["../../../etc/passwd", sha256.toUpperCase(), `${sha256}/..`]) {
    await isRefused(artifact({ sha256: name }), /artifact is not of its form/);
  }
  for (const tenant of ["..", "a/b", "A", ""]) await isRefused(artifact({ tenant }), /artifact is not of its form/);
});

it("holds records of its form alone", async () => {
  const forms = [
    { part: "tenant" },
    { part: "tenant", tenant: "main", name: null, entries: [[]] },
    { part: "tenant", tenant: "main", name: null, entries: [["a", "b", "c"]] },
    { part: "tenant", tenant: "main", name: null, entries: [["a"]], more: 1 },
    { part: "tenant", tenant: "a:b", name: null, entries: [["a"]] },
    [],
  ];
  for (const value of forms) await isRefused(forged(FRAMES.toSpliced(1, 1, { kind: "record", value })));
});

it("is written in pieces that a reader takes", async () => {
  assert.throws(() => new FrameWriter().frame("bytes", Buffer.alloc(PIECE_BYTES + 1)), /too large/);
  assert.deepEqual(
    (await opened(WHOLE)).map(({ kind }) => kind),
    FRAMES.map(({ kind }) => kind),
  );
});
