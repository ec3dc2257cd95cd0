/**
 * Frames that a hostile sandbox sends, as fast-check makes them: what may come while a call waits,
 * and what may not.
 */
import fc from "fast-check";
import * as frames from "../../../sandbox-core/protocol/frames.ts";

/** The call that a fresh instance serves first. */
export const CALL = 1;

/** How far a reply is forged before the worker is lied to. */
export interface Prefix {
  stage: "waiting" | "streaming" | "replied";
  bytes: Buffer;
}

const FAILURE = { name: "Error", message: "forged", stack: "" };
const text = fc.string({ unit: "binary", maxLength: 40 });
const bytes = fc.uint8Array({ maxLength: 2_000 });

const log = fc
  .tuple(fc.constantFrom(null, CALL), text)
  .map(([call, text]) => frames.encodeLog({ call, level: "info", source: "console", timeMs: 1, text }));
const logs = fc.array(log, { maxLength: 4 }).map((all) => Buffer.concat(all));

function head(parts: Partial<frames.Head>): Buffer {
  const plain = { call: CALL, status: 200, headers: [], streaming: false, last: true, body: new Uint8Array(0) };
  return frames.encodeHead({ ...plain, ...parts });
}

/** The frames that a runtime may send in the course of a call, up to some point. */
export const prefix: fc.Arbitrary<Prefix> = fc.oneof(
  logs.map((bytes): Prefix => ({ stage: "waiting", bytes })),
  fc.tuple(logs, fc.array(bytes, { maxLength: 3 })).map(
    ([before, chunks]): Prefix => ({
      stage: "streaming",
      bytes: Buffer.concat([
        before,
        head({ streaming: true, last: false }),
        ...chunks.map((chunk) => frames.encodeChunk(CALL, chunk)),
      ]),
    }),
  ),
  bytes.map((body): Prefix => ({ stage: "replied", bytes: head({ body }) })),
);

/** A frame with any type and payload. */
export function rawFrame(type: number, payload: Uint8Array): Buffer {
  const start = Buffer.alloc(5);
  start.writeUInt32LE(payload.length + 1);
  start[4] = type;
  return Buffer.concat([start, payload]);
}

/** A length that is never allowed, and what may follow it. */
const badLength = fc
  .tuple(fc.oneof(fc.constant(0), fc.integer({ min: frames.MAX_FRAME_BYTES + 1, max: 0xffffffff })), bytes)
  .map(([length, rest]) => {
    const start = Buffer.alloc(4);
    start.writeUInt32LE(length);
    return Buffer.concat([start, rest]);
  });

const unknownType = fc
  .tuple(fc.integer({ min: 0, max: 255 }), bytes)
  .filter(([type]) => type < 0x81 || type > 0x8d)
  .map(([type, payload]) => rawFrame(type, payload));

/** Payloads that no type takes for its own: too short for a call, or no JSON behind it. */
const truncated = fc
  .tuple(fc.constantFrom(0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89), fc.uint8Array({ maxLength: 3 }))
  .map(([type, payload]) => rawFrame(type, payload));

const ANOTHER_CALL = [2, 0xffffffff].flatMap((call) => [
  head({ call }),
  frames.encodeChunk(call, Buffer.from("x")),
  frames.encodeEnd(call, null),
  frames.encodeFailed(call, FAILURE),
  frames.encodeIdle(call),
  frames.encodeLog({ call, level: "info", source: "console", timeMs: 1, text: "x" }),
]);

const REFLECTED = [
  frames.encodeBody(CALL, Buffer.from("x")),
  frames.encodeBodyEnd(CALL),
  frames.encodeBodyLost(CALL),
  frames.encodeCancel(CALL),
  rawFrame(0x04, Buffer.alloc(200)),
  rawFrame(0x01, Buffer.from("{}")),
];

const OF_THE_START = [frames.encodeReady(), frames.encodeLoaded(1, null), frames.encodeLoadFailed(FAILURE)];
/** As if it were a template, whose fork ended. */
const OF_A_TEMPLATE = [
  frames.encodeTemplated(null),
  frames.encodeTemplated("nothing"),
  frames.encodeEnded(1, { code: 0, signal: null }),
  frames.encodeEnded(1, { code: null, signal: 9 }),
];

/** What comes twice or too early, by the stage that the call is at. */
const OUT_OF_TURN: Record<Prefix["stage"], Buffer[]> = {
  waiting: [frames.encodeChunk(CALL, Buffer.from("x")), frames.encodeEnd(CALL, null), frames.encodeIdle(CALL)],
  streaming: [
    frames.encodeLeaving(0),
    head({}),
    head({ streaming: true, last: false }),
    frames.encodeFailed(CALL, FAILURE),
    frames.encodeIdle(CALL),
  ],
  replied: [
    frames.encodeLeaving(0),
    head({}),
    frames.encodeChunk(CALL, Buffer.from("x")),
    frames.encodeEnd(CALL, null),
    frames.encodeFailed(CALL, FAILURE),
  ],
};

/** Well-formed frames that the worker must not take at that stage. */
export function wellFormedLies(stage: Prefix["stage"]): Buffer[] {
  return [...OUT_OF_TURN[stage], ...ANOTHER_CALL, ...REFLECTED, ...OF_THE_START, ...OF_A_TEMPLATE];
}

/** A lie that the worker must not take at that stage, whatever comes after it. */
export function lie(stage: Prefix["stage"]): fc.Arbitrary<Buffer> {
  const one = fc.oneof(badLength, unknownType, truncated, fc.constantFrom(...wellFormedLies(stage)));
  return fc.tuple(one, fc.oneof(fc.constant(new Uint8Array(0)), bytes)).map((parts) => Buffer.concat(parts));
}

/** A stage of a call without anything around it. */
export const BARE: readonly Prefix[] = [
  { stage: "waiting", bytes: Buffer.alloc(0) },
  { stage: "streaming", bytes: head({ streaming: true, last: false }) },
  { stage: "replied", bytes: head({}) },
];

/** A stream changed here and there: bits turned, pieces left out, doubled or moved. */
export function mutated(seeds: readonly Buffer[]): fc.Arbitrary<Buffer> {
  const change = fc.record({
    kind: fc.constantFrom("turn", "cut", "double", "insert"),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.integer({ min: 1, max: 40 }),
    value: fc.integer({ min: 0, max: 255 }),
  });
  return fc
    .tuple(fc.array(fc.constantFrom(...seeds), { minLength: 1, maxLength: 4 }), fc.array(change, { maxLength: 6 }))
    .map(([streams, changes]) =>
      changes.reduce((stream, { kind, at, length, value }) => {
        const from = Math.floor(at * stream.length);
        const [before, piece, after] = [
          stream.subarray(0, from),
          stream.subarray(from, from + length),
          stream.subarray(from + length),
        ];
        if (kind === "cut") return Buffer.concat([before, after]);
        if (kind === "double") return Buffer.concat([before, piece, piece, after]);
        if (kind === "insert") return Buffer.concat([before, Buffer.alloc(length, value), piece, after]);
        return Buffer.concat([before, piece.map((byte) => byte ^ value), after]);
      }, Buffer.concat(streams)),
    );
}
