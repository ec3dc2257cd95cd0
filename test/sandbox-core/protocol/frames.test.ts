import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import * as frames from "../../../sandbox-core/protocol/frames.ts";

/** fast-check's records have no prototype half of the time; decoded messages always have one. */
const record: typeof fc.record = (model: object) =>
  fc.record(model as never, { noNullPrototype: true } as never) as never;
const call = fc.integer({ min: 1, max: 0xffffffff });
const bytes = fc.uint8Array({ maxLength: 3000 });
const word = (maxLength: number) => fc.string({ unit: "binary", maxLength });
const headerName = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9a-z]{1,20}$/);
const headerValue = fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,40}$/);
const headers: fc.Arbitrary<frames.HeaderPairs> = fc.array(fc.tuple(headerName, headerValue), { maxLength: 20 });
const failure = record({ name: word(30), message: word(200), stack: word(500) });

const head = record({
  call,
  status: fc.integer({ min: 200, max: 599 }),
  statusText: fc.option(headerValue, { nil: undefined }),
  headers,
  streaming: fc.boolean(),
  last: fc.boolean(),
  body: bytes,
});
const log = record({
  call: fc.option(call),
  level: fc.constantFrom(...frames.LOG_LEVELS),
  source: fc.constantFrom(...frames.LOG_SOURCES),
  timeMs: fc.double({ min: 0, max: 8.64e15, noNaN: true }).map((time) => time + 0),
  text: word(500),
});
const initMs = fc.integer({ min: 0, max: 1e9 });
const found = record({ handler: word(100), warnings: fc.array(word(100), { maxLength: frames.MAX_LOAD_WARNINGS }) });

type Sent = [frames.SandboxMessage, Uint8Array];
type Given = [frames.WorkerMessage[], Uint8Array[]];

/** Every message a sandbox can send, beside its encoding. */
const sandboxMessage: fc.Arbitrary<Sent> = fc.oneof(
  fc.constant<Sent>([{ type: "ready" }, frames.encodeReady()]),
  sent(fc.tuple(initMs, fc.option(found)), ([initMs, found]) => [
    { type: "loaded", initMs, found },
    frames.encodeLoaded(initMs, found),
  ]),
  sent(fc.option(word(100)), (noTemplateReason) => [
    { type: "templated", noTemplateReason },
    frames.encodeTemplated(noTemplateReason),
  ]),
  sent(fc.tuple(call, fc.integer({ min: 0, max: 255 })), ([fork, code]) => [
    { type: "ended", fork, code, signal: null },
    frames.encodeEnded(fork, { code, signal: null }),
  ]),
  sent(fc.tuple(call, fc.integer({ min: 1, max: 64 })), ([fork, signal]) => [
    { type: "ended", fork, code: null, signal },
    frames.encodeEnded(fork, { code: null, signal }),
  ]),
  sent(failure, (error) => [{ type: "load_failed", error }, frames.encodeLoadFailed(error)]),
  sent(head, ({ statusText, ...head }) => {
    const all = { ...head, ...(statusText !== undefined && { statusText }) };
    return [{ type: "head", ...all }, frames.encodeHead(all)];
  }),
  sent(fc.tuple(call, bytes), ([call, bytes]) => [{ type: "chunk", call, bytes }, frames.encodeChunk(call, bytes)]),
  sent(fc.tuple(call, fc.option(failure)), ([call, error]) => [
    { type: "end", call, error },
    frames.encodeEnd(call, error),
  ]),
  sent(fc.tuple(call, failure), ([call, error]) => [{ type: "failed", call, error }, frames.encodeFailed(call, error)]),
  sent(log, (log) => [{ type: "log", ...log }, frames.encodeLog(log)]),
  sent(call, (call) => [{ type: "idle", call }, frames.encodeIdle(call)]),
  sent(call, (call) => [{ type: "withdrawn", call }, frames.encodeWithdrawn(call)]),
  sent(fc.oneof(fc.constant(0), call), (call) => [{ type: "leaving", lastBegun: call }, frames.encodeLeaving(call)]),
);

const request = record({
  call,
  invocationId: fc.uuid(),
  method: fc.constantFrom("GET", "POST", "PROPFIND", "M-SEARCH"),
  url: fc.webUrl(),
  path: word(60).map((path) => `/${path}`),
  headers,
  remoteAddress: fc.ipV6(),
  traceparent: fc.option(headerValue),
  tracestate: fc.option(headerValue),
  bodyFollows: fc.boolean(),
  body: bytes,
});
const load = record({
  tenant: word(20),
  functionName: word(20),
  version: fc.stringMatching(/^[0-9a-f]{64}$/),
  entry: word(40),
  handler: fc.option(word(40)),
  kind: fc.option(fc.constantFrom(...frames.HANDLER_KINDS)),
  env: fc
    .array(fc.tuple(fc.constantFrom("A", "B_1", "__proto__", "constructor"), word(40).map(withoutNul)))
    .map((entries) => Object.fromEntries(entries)),
  limits: record({ logRecords: fc.nat(1000), logBytes: fc.nat(100000) }),
  isolation: fc.constantFrom(...frames.ISOLATIONS),
  memoryMiB: fc.integer({ min: 1, max: 4096 }),
  timeoutMs: fc.integer({ min: 1, max: 900_000 }),
});

/** Every message a worker can send, beside its encoding; `load` is several. */
const workerMessages: fc.Arbitrary<Given> = fc.oneof(
  given(fc.tuple(load, bytes, bytes), ([load, code, map]) => [
    [
      { type: "load", ...load, codeBytes: code.length, mapBytes: map.length },
      ...(code.length > 0 ? [{ type: "code" as const, bytes: code }] : []),
      ...(map.length > 0 ? [{ type: "map" as const, bytes: map }] : []),
    ],
    frames.encodeLoad(load, code, map),
  ]),
  given(request, (request) => [[{ type: "request", ...request }], [frames.encodeRequest(request)]]),
  given(fc.tuple(call, bytes), ([call, bytes]) => [[{ type: "body", call, bytes }], [frames.encodeBody(call, bytes)]]),
  given(call, (call) => [[{ type: "body_end", call }], [frames.encodeBodyEnd(call)]]),
  given(call, (call) => [[{ type: "body_lost", call }], [frames.encodeBodyLost(call)]]),
  given(call, (call) => [[{ type: "cancel", call }], [frames.encodeCancel(call)]]),
  given(call, (call) => [[{ type: "withdraw", call }], [frames.encodeWithdraw(call)]]),
  fc.constant<Given>([[{ type: "template" }], [frames.encodeTemplate()]]),
);

/** `map`, typed: what a sandbox sends. */
function sent<In>(values: fc.Arbitrary<In>, mapper: (value: In) => Sent): fc.Arbitrary<Sent> {
  return values.map(mapper);
}

/** `map`, typed: what a worker gives. */
function given<In>(values: fc.Arbitrary<In>, mapper: (value: In) => Given): fc.Arbitrary<Given> {
  return values.map(mapper);
}

function withoutNul(value: string): string {
  return value.replaceAll("\0", "");
}

/** Cuts bytes into chunks of these sizes, over and over. */
function* cut(all: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let at = 0, turn = 0; at < all.length; turn++) {
    const size = sizes[turn % sizes.length] ?? all.length;
    yield all.subarray(at, at + size);
    at += size;
  }
}

/** Messages with their bytes copied out of the views, so that they compare by value. */
function plain(message: object): object {
  return Object.fromEntries(
    Object.entries(message).map(([key, value]) => [key, value instanceof Uint8Array ? Buffer.from(value) : value]),
  );
}

/** The messages, with the pieces of a body that came one after the other as one. */
function readAll(decode: (type: number, payload: Buffer) => object, all: Buffer, sizes: readonly number[]): object[] {
  const seen: object[] = [];
  const reader = new frames.FrameReader(decode, (message) => seen.push(message));
  for (const chunk of cut(all, sizes)) reader.push(chunk);
  return joined(seen);
}

interface Heard {
  type: string;
  call: number;
  bytes: Buffer;
}

function isPiece({ type }: Heard): boolean {
  return type === "body" || type === "chunk";
}

/** The same with pieces of a body that follow each other as one, and with bytes of their own. */
function joined(messages: readonly object[]): object[] {
  const all: Heard[] = [];
  for (const message of messages) {
    const next = plain(message) as Heard;
    const last = all.at(-1);
    if (!isPiece(next) || last?.type !== next.type || last.call !== next.call) all.push(next);
    else last.bytes = Buffer.concat([last.bytes, next.bytes]);
  }
  return all;
}

const chunkSizes = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 8 });

test("what a sandbox sends arrives as it was, however the bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(sandboxMessage, { maxLength: 8 }), chunkSizes, (messages, sizes) => {
      const wire = Buffer.concat(messages.map(([, encoded]) => encoded));
      assert.deepEqual(readAll(frames.decodeSandboxMessage, wire, sizes), joined(messages.map(([message]) => message)));
    }),
  );
});

test("what a worker sends arrives as it was, however the bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(workerMessages, { maxLength: 6 }), chunkSizes, (messages, sizes) => {
      const wire = Buffer.concat(messages.flatMap(([, encoded]) => encoded));
      assert.deepEqual(
        readAll(frames.decodeWorkerMessage, wire, sizes),
        joined(messages.flatMap(([message]) => message)),
      );
    }),
  );
});

test("arbitrary bytes are decoded or refused with a ProtocolError, nothing else", () => {
  const types = [1, 2, 3, 4, 5, 6, 7, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89];
  const json = fc.oneof(fc.json(), word(30)).map((text) => Buffer.from(text));
  const framed = fc
    .tuple(fc.oneof(fc.constantFrom(...types), fc.nat(255)), fc.uint8Array({ maxLength: 20 }), json)
    .map(([type, prefix, json]) => rawFrame(type, Buffer.concat([prefix, json])));
  const wire = fc.array(fc.oneof(framed, fc.uint8Array({ maxLength: 30 })), { maxLength: 5 });
  for (const decode of [frames.decodeSandboxMessage, frames.decodeWorkerMessage]) {
    fc.assert(
      fc.property(wire, chunkSizes, (pieces, sizes) => {
        try {
          readAll(decode, Buffer.concat(pieces), sizes);
        } catch (error) {
          assert.ok(error instanceof frames.ProtocolError, String(error));
        }
      }),
      { numRuns: 1000 },
    );
  }
});

test("a valid message with one field replaced by anything is decoded to valid fields or refused", () => {
  const valid = { status: 200, headers: [["a", "b"]], streaming: false, last: true };
  const field = fc.constantFrom("status", "statusText", "headers", "streaming", "last", "__proto__", "more");
  fc.assert(
    fc.property(field, fc.anything({ withBigInt: false }), (field, value) => {
      const fields = Object.fromEntries([...Object.entries(valid), [field, value]]);
      let json: string;
      try {
        json = JSON.stringify(fields);
      } catch {
        return;
      }
      const decoded = decodeOneOrRefuse(headPayload(json));
      if (decoded === null) return;
      const { statusText, ...others } = decoded;
      assert.deepEqual(Object.keys(others), ["type", "call", "status", "headers", "streaming", "last", "body"]);
      assert.ok(statusText === undefined || frames.isStatusText(statusText));
      assert.ok(decoded.status >= 200 && decoded.status <= 599);
      assert.equal(Object.getPrototypeOf(decoded), Object.prototype);
    }),
  );
});

function decodeOneOrRefuse(payload: Buffer): frames.Head | null {
  try {
    return frames.decodeSandboxMessage(0x84, payload) as frames.Head;
  } catch (error) {
    assert.ok(error instanceof frames.ProtocolError);
    return null;
  }
}

function rawFrame(type: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32LE(payload.length + 1);
  head[4] = type;
  return Buffer.concat([head, payload]);
}

function headPayload(json: string): Buffer {
  const sizes = Buffer.alloc(8);
  sizes.writeUInt32LE(1, 0);
  sizes.writeUInt32LE(Buffer.byteLength(json), 4);
  return Buffer.concat([sizes, Buffer.from(json)]);
}

const callPrefix = Buffer.from([1, 0, 0, 0]);

function callJson(value: unknown): Buffer {
  return Buffer.concat([callPrefix, Buffer.from(JSON.stringify(value))]);
}

/** A head with some fields replaced. */
function headWith(fields: object): Buffer {
  return headPayload(JSON.stringify({ status: 200, headers: [], streaming: false, last: true, ...fields }));
}

function logPayload(fields: { level?: number; source?: number; timeMs?: number; textBytes?: number; call?: number }) {
  const head = Buffer.alloc(14);
  head.writeUInt32LE(fields.call ?? 0, 0);
  head[4] = fields.level ?? 0;
  head[5] = fields.source ?? 0;
  head.writeDoubleLE(fields.timeMs ?? 0, 6);
  return Buffer.concat([head, Buffer.alloc(fields.textBytes ?? 0, "x")]);
}

function ended(fork: number, end: object): Buffer {
  const number = Buffer.alloc(4);
  number.writeUInt32LE(fork);
  return Buffer.concat([number, Buffer.from(JSON.stringify(end))]);
}

/** Just inside a limit, and just outside. */
const limits: [what: string, type: number, inside: Buffer | null, outside: Buffer][] = [
  ["an unknown type", 0x8a, null, Buffer.alloc(0)],
  ["a type of the other direction", 0x01, null, Buffer.from("{}")],
  ["ready with a payload", 0x81, Buffer.alloc(0), Buffer.alloc(1)],
  ["initMs below 0", 0x82, loadedWith({}), loadedWith({ initMs: -1 })],
  ["initMs that is no number", 0x82, loadedWith({ initMs: 1.5 }), loadedWith({ initMs: "1" })],
  ["a found that is missing", 0x82, loadedWith({ found: null }), loadedWith({ found: undefined })],
  ["a handler too long", 0x82, foundWith({ handler: "h".repeat(256) }), foundWith({ handler: "h".repeat(257) })],
  ["a handler that is no text", 0x82, foundWith({}), foundWith({ handler: 1 })],
  ["too many warnings", 0x82, foundWith({ warnings: Array(16).fill("") }), foundWith({ warnings: Array(17).fill("") })],
  ["a warning too long", 0x82, foundWith({ warnings: ["w".repeat(512)] }), foundWith({ warnings: ["w".repeat(513)] })],
  ["warnings as an object", 0x82, foundWith({}), foundWith({ warnings: { length: 0 } })],
  ["an obstacle that is no text", 0x8b, Buffer.from('{"noTemplateReason":"1"}'), Buffer.from('{"noTemplateReason":1}')],
  ["no word of an obstacle", 0x8b, Buffer.from('{"noTemplateReason":null}'), Buffer.from("{}")],
  ["an end with code and signal", 0x8c, ended(1, { code: 0, signal: null }), ended(1, { code: 0, signal: 9 })],
  ["an end with neither", 0x8c, ended(1, { code: null, signal: 9 }), ended(1, { code: null, signal: null })],
  ["the end of no fork", 0x8c, ended(1, { code: 0, signal: null }), ended(0, { code: 0, signal: null })],
  ["JSON that is none", 0x82, null, Buffer.from('{"initMs":1')],
  ["JSON that is no object", 0x82, null, Buffer.from("[1]")],
  ["JSON null", 0x82, null, Buffer.from("null")],
  ["fields that only a prototype has", 0x82, null, Buffer.from('{"__proto__":{"initMs":1}}')],
  ["an informational status", 0x84, headWith({ status: 200 }), headWith({ status: 199 })],
  ["a status above 599", 0x84, headWith({ status: 599 }), headWith({ status: 600 })],
  ["a status between two", 0x84, null, headWith({ status: 200.5 })],
  [
    "a reason phrase too long",
    0x84,
    headWith({ statusText: "x".repeat(256) }),
    headWith({ statusText: "x".repeat(257) }),
  ],
  ["a reason phrase of two lines", 0x84, headWith({ statusText: "a b" }), headWith({ statusText: "a\r\nb" })],
  ["too many headers", 0x84, headWith({ headers: manyHeaders(128) }), headWith({ headers: manyHeaders(129) })],
  [
    "a header name too long",
    0x84,
    headWith({ headers: [["n".repeat(256), ""]] }),
    headWith({ headers: [["n".repeat(257), ""]] }),
  ],
  [
    "a header value too long",
    0x84,
    headWith({ headers: [["n", "v".repeat(16384)]] }),
    headWith({ headers: [["n", "v".repeat(16385)]] }),
  ],
  [
    "headers too long in all",
    0x84,
    headWith({ headers: Array(4).fill(["n", "v".repeat(16383)]) }),
    headWith({ headers: [...Array(4).fill(["n", "v".repeat(16383)]), ["a", ""]] }),
  ],
  ["an empty header name", 0x84, null, headWith({ headers: [["", ""]] })],
  ["an upper-case header name", 0x84, null, headWith({ headers: [["A", ""]] })],
  ["a header name with a colon", 0x84, null, headWith({ headers: [["a:b", ""]] })],
  ["a header value with CR LF", 0x84, null, headWith({ headers: [["a", "b\r\nc: d"]] })],
  ["a header value with NUL", 0x84, null, headWith({ headers: [["a", "\0"]] })],
  ["a header value beyond latin1", 0x84, headWith({ headers: [["a", "ÿ"]] }), headWith({ headers: [["a", "Ā"]] })],
  ["a pair of three", 0x84, null, headWith({ headers: [["a", "b", "c"]] })],
  ["a pair of one", 0x84, null, headWith({ headers: [["a"]] })],
  ["headers as an object", 0x84, null, headWith({ headers: { length: 0 } })],
  ["streaming as a number", 0x84, null, headWith({ streaming: 1 })],
  ["last that is missing", 0x84, null, headWith({ last: undefined })],
  ["a head of call 0", 0x84, null, Buffer.alloc(8)],
  ["a head longer than its frame", 0x84, null, Buffer.from([1, 0, 0, 0, 9, 0, 0, 0, 0x7b, 0x7d])],
  ["a head above its limit", 0x84, null, bigHead(256 * 1024 + 1)],
  ["a chunk without a call", 0x85, callPrefix, Buffer.from([1, 0, 0])],
  ["an end with a wrong error", 0x86, callJson({ error: null }), callJson({ error: "x" })],
  ["an end without JSON", 0x86, null, callPrefix],
  [
    "an error name too long",
    0x87,
    callJson({ name: "n".repeat(256), message: "", stack: "" }),
    callJson({ name: "n".repeat(257), message: "", stack: "" }),
  ],
  [
    "an error message too long",
    0x87,
    callJson({ name: "", message: "m".repeat(16384), stack: "" }),
    callJson({ name: "", message: "m".repeat(16385), stack: "" }),
  ],
  [
    "an error stack too long",
    0x87,
    callJson({ name: "", message: "", stack: "s".repeat(32768) }),
    callJson({ name: "", message: "", stack: "s".repeat(32769) }),
  ],
  ["a log level unknown", 0x88, logPayload({ level: 3 }), logPayload({ level: 4 })],
  ["a log that speaks for the platform", 0x88, logPayload({ source: 3 }), logPayload({ source: 4 })],
  ["a log time that no Date can hold", 0x88, logPayload({ timeMs: 8.64e15 }), logPayload({ timeMs: 8.65e15 })],
  ["a log time that is no number", 0x88, null, logPayload({ timeMs: Number.NaN })],
  ["a log text too long", 0x88, logPayload({ textBytes: 16384 }), logPayload({ textBytes: 16385 })],
  ["a log cut short", 0x88, null, Buffer.alloc(13)],
  ["idle with more than a call", 0x89, callPrefix, Buffer.alloc(5, 1)],
];

function loadedWith(fields: object): Buffer {
  return Buffer.from(JSON.stringify({ initMs: 0, found: null, ...fields }));
}

function foundWith(fields: object): Buffer {
  return loadedWith({ found: { handler: "", warnings: [], ...fields } });
}

function manyHeaders(count: number): frames.HeaderPairs {
  return Array.from({ length: count }, (_, index) => [`h${index}`, ""]);
}

function bigHead(bytes: number): Buffer {
  return headPayload(
    `{"status":200,"headers":[],"streaming":false,"last":true,"x":"`.padEnd(bytes - 2, "x").concat('"}'),
  );
}

for (const [what, type, inside, outside] of limits) {
  test(`the worker refuses ${what}`, () => {
    if (inside !== null) frames.decodeSandboxMessage(type, inside);
    assert.throws(() => frames.decodeSandboxMessage(type, outside), frames.ProtocolError);
  });
}

test("a frame above the limit is refused by its length alone, and so is one of nothing", () => {
  for (const length of [0, frames.MAX_FRAME_BYTES + 1, 0xffffffff]) {
    const reader = new frames.FrameReader(frames.decodeSandboxMessage, () => assert.fail());
    const head = Buffer.alloc(4);
    head.writeUInt32LE(length);
    assert.throws(() => reader.push(head), frames.ProtocolError);
    assert.throws(() => reader.push(frames.encodeReady()), frames.ProtocolError, "it stays refused");
  }
});

test("a frame of exactly the limit passes", () => {
  const body = Buffer.alloc(frames.MAX_FRAME_BYTES - 5, 7);
  const wire = frames.encodeChunk(1, body);
  assert.equal(wire.length, frames.MAX_FRAME_BYTES + 4);
  assert.deepEqual(readAll(frames.decodeSandboxMessage, wire, [65536]), [{ type: "chunk", call: 1, bytes: body }]);
  assert.throws(() => frames.encodeChunk(1, Buffer.alloc(frames.MAX_FRAME_BYTES - 4)), frames.ProtocolError);
});

test("a piece of a body is handed over as it comes, and nothing of it is kept", () => {
  for (const [decode, frame] of [
    [frames.decodeSandboxMessage, frames.encodeChunk(7, Buffer.from("abcdef"))],
    [frames.decodeWorkerMessage, frames.encodeBody(7, Buffer.from("abcdef"))],
  ] as const) {
    const seen: string[] = [];
    const reader = new frames.FrameReader<object>(decode, (message) => {
      const { call, bytes } = message as Heard;
      seen.push(`${call} ${Buffer.from(bytes).toString()}`);
    });
    const begin = Buffer.from(frame.subarray(0, 11));
    reader.push(begin);
    assert.deepEqual(seen, ["7 ab"]);
    begin.fill(0);
    reader.push(frame.subarray(11, 12));
    reader.push(Buffer.concat([frame.subarray(12), frame.subarray(0, 3)]));
    reader.push(frame.subarray(3));
    assert.deepEqual(seen, ["7 ab", "7 c", "7 def", "7 abcdef"]);
  }
});

test("long bodies are written as they are, behind what stands before them", () => {
  const body = Buffer.alloc(20_000, "b");
  const head = { call: 1, status: 200, headers: [], streaming: false, last: true, body };
  const pairs: [whole: Uint8Array, parts: Uint8Array[]][] = [
    [frames.encodeHead(head), frames.encodeLongHead(head)],
    [frames.encodeChunk(1, body), frames.encodeLongChunk(1, body)],
    [frames.encodeBody(1, body), frames.encodeLongBody(1, body)],
  ];
  for (const [whole, parts] of pairs) {
    assert.equal(parts.at(-1), body);
    assert.deepEqual(Buffer.concat(parts), whole);
  }
});

test("messages before a broken frame are handed over", () => {
  const seen: string[] = [];
  const reader = new frames.FrameReader(frames.decodeSandboxMessage, ({ type }) => seen.push(type));
  const wire = Buffer.concat([frames.encodeReady(), frames.encodeIdle(1), rawFrame(0, Buffer.alloc(0))]);
  assert.throws(() => reader.push(wire), frames.ProtocolError);
  assert.deepEqual(seen, ["ready", "idle"]);
});

test("any body of MAX_BODY_BYTES_PER_FRAME fits beside any head", () => {
  // Every character of these costs two bytes in UTF-8 or as a JSON escape.
  const headers: frames.HeaderPairs = Array.from({ length: 4 }, () => ["n", '"ÿ'.repeat(8191)]);
  const body = Buffer.alloc(frames.MAX_BODY_BYTES_PER_FRAME);
  frames.encodeHead({ call: 1, status: 200, headers, streaming: false, last: true, body });
});

test("a head goes without a reason phrase that a worker would refuse", () => {
  const head = { call: 1, status: 200, headers: [], streaming: false, last: true, body: Buffer.alloc(0) };
  for (const statusText of ["x".repeat(257), "a\nb", "\u2603"]) {
    assert.deepEqual(frames.encodeHead({ ...head, statusText }), frames.encodeHead(head));
  }
});

test("a bundle larger than a frame takes several", () => {
  const code = Buffer.alloc(2.5 * 1024 * 1024, "c");
  const isolation = "instance";
  const names = { tenant: "t", functionName: "f", version: "v", entry: "e", handler: null, kind: null };
  const input = { ...names, isolation, env: {}, memoryMiB: 64, timeoutMs: 1 } as const;
  const encoded = frames.encodeLoad({ ...input, limits: frames.DEFAULT_RUNTIME_LIMITS }, code, Buffer.alloc(0));
  const received: Buffer[] = [];
  const reader = new frames.FrameReader(frames.decodeWorkerMessage, (message) => {
    if (message.type === "code") received.push(Buffer.from(message.bytes));
  });
  for (const piece of encoded) reader.push(Buffer.from(piece));
  assert.equal(received.length, 3);
  assert.ok(Buffer.concat(received).equals(code));
});

test("an environment with names or values that a process cannot hold is refused", () => {
  const isolation = "instance";
  const names = { tenant: "t", functionName: "f", version: "v", entry: "e", handler: null, kind: null };
  const input = { ...names, isolation, memoryMiB: 64, timeoutMs: 1 } as const;
  const encode = (env: Record<string, string>) =>
    frames.encodeLoad({ ...input, env, limits: frames.DEFAULT_RUNTIME_LIMITS }, Buffer.alloc(0), Buffer.alloc(0));
  encode({ A: "x".repeat(frames.MAX_ENV_LENGTH - 1) });
  assert.throws(() => encode({ A: "x".repeat(frames.MAX_ENV_LENGTH) }), frames.ProtocolError);
  assert.throws(() => encode({ "A=B": "x" }), frames.ProtocolError);
  assert.throws(() => encode({ A: "x\0" }), frames.ProtocolError);
  assert.throws(() => encode(Object.fromEntries(manyHeaders(1025))), frames.ProtocolError);
});

test("long text is cut by the encoder, between two characters", () => {
  const text = `x${"𝄞".repeat(5000)}`;
  const encoded = frames.encodeLog({ call: null, level: "info", source: "console", timeMs: 0, text });
  const [log] = readAll(frames.decodeSandboxMessage, encoded, [encoded.length]) as [frames.Log];
  assert.match(log.text, /^x(𝄞)+ … \[cut\]$/u);
  assert.ok(Buffer.byteLength(log.text) > frames.MAX_LOG_TEXT_BYTES - 4);
  const long = frames.encodeFailed(1, { name: "n".repeat(1e5), message: "m".repeat(1e5), stack: "s".repeat(1e5) });
  const [failed] = readAll(frames.decodeSandboxMessage, long, [long.length]) as [{ error: frames.Failure }];
  assert.match(failed.error.message, /^m+ … \[cut\]$/);
});

test("orders to a template are of one length, and read as they were written", () => {
  for (const [order, encode] of [
    ["fork", frames.encodeFork],
    ["end", frames.encodeEndFork],
  ] as const) {
    const bytes = encode(7);
    assert.equal(bytes.length, frames.TEMPLATE_ORDER_BYTES);
    assert.deepEqual(frames.decodeTemplateOrder(bytes), { order, fork: 7 });
  }
});

test("nothing else is an order to a template", () => {
  const other = [frames.encodeFork(0), frames.encodeWithdraw(1), frames.encodeFork(1).subarray(0, 8)];
  for (const bytes of other) assert.throws(() => frames.decodeTemplateOrder(bytes), frames.ProtocolError);
});
