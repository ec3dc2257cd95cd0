/** The first message of TLS: real ones in any pieces, and those of an attacker. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { connect } from "node:tls";
import { MOST_HELLO_INPUT, readHello } from "../../../sandbox-core/egress/client-hello.ts";

/** The first bytes of Node's own client. */
function realHello(servername?: string, options: object = {}): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        resolve(chunk);
        done();
      },
    });
    connect({ socket, ...(servername === undefined ? {} : { servername }), ...options }).on("error", () => undefined);
  });
}

const u16 = (value: number) => Buffer.from([value >> 8, value & 0xff]);
const vector = (size: 1 | 2, bytes: Buffer) =>
  Buffer.concat([size === 1 ? Buffer.from([bytes.length]) : u16(bytes.length), bytes]);
const extension = (kind: number, data: Buffer) => Buffer.concat([u16(kind), vector(2, data)]);
const serverName = (...names: string[]) =>
  extension(
    0,
    vector(2, Buffer.concat(names.map((name) => Buffer.concat([Buffer.from([0]), vector(2, Buffer.from(name))])))),
  );

function message(...extensions: Buffer[]): Buffer {
  const body = Buffer.concat([
    u16(0x0303),
    Buffer.alloc(32, 7),
    vector(1, Buffer.alloc(0)),
    vector(2, u16(0x1301)),
    vector(1, Buffer.from([0])),
    vector(2, Buffer.concat(extensions)),
  ]);
  return Buffer.concat([Buffer.from([1, 0]), u16(body.length), body]);
}

const record = (bytes: Buffer) => Buffer.concat([Buffer.from([22, 3, 1]), u16(bytes.length), bytes]);

test("a real hello names its host, whole and in every number of pieces", async () => {
  const hello = await realHello("Api.Example.com");
  const found = { is: "hello", serverName: "api.example.com", encrypted: false };
  assert.deepEqual(readHello(hello), found);
  for (let length = 0; length < hello.length; length++)
    assert.equal(readHello(hello.subarray(0, length)).is, "more", String(length));
  // Bytes that follow it are none of its own.
  assert.deepEqual(readHello(Buffer.concat([hello, randomBytes(100)])), found);
  assert.deepEqual(readHello(await realHello("old.example", { maxVersion: "TLSv1.2" })), {
    ...found,
    serverName: "old.example",
  });
});

test("a real hello may name none", async () => {
  assert.deepEqual(readHello(await realHello()), { is: "hello", serverName: null, encrypted: false });
});

test("a hello in records of one byte each is read, up to so many", () => {
  const whole = message(serverName("a.example"));
  const some = Buffer.concat([
    ...Array.from(whole.subarray(0, 60), (byte) => record(Buffer.from([byte]))),
    record(whole.subarray(60)),
  ]);
  assert.deepEqual(readHello(some), { is: "hello", serverName: "a.example", encrypted: false });
  const all = Buffer.concat(Array.from(whole, (byte) => record(Buffer.from([byte]))));
  assert.equal(readHello(all).is, "no_tls");
});

test("a second hello in the first is seen", () => {
  for (const kind of [0xfe0d, 0xffce])
    assert.deepEqual(readHello(record(message(serverName("a.example"), extension(kind, randomBytes(64))))), {
      is: "hello",
      serverName: "a.example",
      encrypted: true,
    });
});

test("what two readers could read in two ways is refused", () => {
  const good = message(serverName("a.example"));
  const cases: Record<string, Buffer> = {
    "two names in one list": record(message(serverName("a.example", "b.example"))),
    "the extension twice": record(message(serverName("a.example"), serverName("b.example"))),
    "an empty name": record(message(serverName(""))),
    "a name with a final dot": record(message(serverName("a.example."))),
    "a name with a NUL": record(message(serverName("a.example\0.b"))),
    "bytes behind the list": record(
      message(extension(0, Buffer.concat([vector(2, Buffer.from([0, 0, 1, 97])), Buffer.from([0])]))),
    ),
    "bytes behind the message": record(Buffer.concat([good, Buffer.from([0])])),
    "an empty record": Buffer.concat([Buffer.from([22, 3, 1, 0, 0]), record(good)]),
    "another record first": Buffer.concat([Buffer.from([20, 3, 1, 0, 1, 1]), record(good)]),
    HTTP: Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    "SSL 2": Buffer.from([0x80, 0x2e, 1, 0, 2]),
    "another message": record(Buffer.concat([Buffer.from([2]), good.subarray(1)])),
    "one that is too long": record(Buffer.from([1, 0, 0x40, 1])),
  };
  for (const [what, bytes] of Object.entries(cases)) assert.equal(readHello(bytes).is, "no_tls", what);
});

test("fuzz: no bytes break it, and a name that it gives is a host's", async () => {
  const seeds = [await realHello("api.example.com"), record(message(serverName("a.example"))), await realHello()];
  for (let round = 0; round < 20_000; round++) {
    const bytes = round % 7 === 0 ? randomBytes(round % 900) : Buffer.from(seeds[round % seeds.length] as Buffer);
    if (round % 7 === 0) bytes.set([22, 3, 1].slice(0, bytes.length));
    for (let changes = round % 5; changes > 0 && bytes.length > 0; changes--)
      bytes[randomBytes(2).readUInt16LE() % bytes.length] = randomBytes(1)[0] as number;
    const read = readHello(bytes.subarray(0, bytes.length - (round % 3)));
    if (read.is === "hello" && read.serverName !== null) assert.match(read.serverName, /^[a-z0-9_.-]{1,253}$/);
  }
  assert.notEqual(readHello(Buffer.alloc(MOST_HELLO_INPUT + 1, 22)).is, "more");
});
