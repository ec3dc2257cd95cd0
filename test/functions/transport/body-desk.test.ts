/** Bodies that a gateway keeps, and workers that ask for them: well-behaved and other ones. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import type { Redis } from "ioredis";
import { BodyDesk, type BodyQuestion, bodyChannelOf } from "../../../functions/transport/body-desk.ts";
import { BodyFetcher } from "../../../functions/transport/body-fetcher.ts";
import {
  CREDIT_BYTES,
  encodeCredit,
  encodeReset,
  encodeTake,
  encodeTold,
  readTold,
  TICKET_BYTES,
  TOLD_BYTES,
} from "../../../functions/transport/body-frames.ts";
import { BodyInlet } from "../../../functions/transport/body-inlet.ts";
import { WholeBody } from "../../../functions/transport/body-source.ts";
import { BodyLostError } from "../../../functions/transport/body-stream.ts";
import { dial } from "../../../functions/transport/direct-dialer.ts";
import { ReplyReceiver } from "../../../functions/transport/reply-receiver.ts";
import { Source } from "../../helpers/body-source.ts";
import { eventually } from "../../helpers/eventually.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const GATEWAY = "gateway";
const MANY = 3_000_000;

let server: TestRedis;
let redis: Redis;
let desk: BodyDesk;
let receiver: ReplyReceiver;
const troubles: string[] = [];

before(async () => {
  server = await startRedis();
  redis = server.connect();
  desk = new BodyDesk(redis, (message) => void troubles.push(message));
  const places = { socketDir: tempDir(), address: null };
  receiver = new ReplyReceiver(redis, GATEWAY, () => {}, places, desk);
  await receiver.ready;
});
after(async () => {
  receiver.close();
  desk.close();
  await server.stop();
});

const whole = (bytes: Buffer) => new WholeBody(bytes, () => {});

/** Bytes of which no part is like the next. */
function bytesOf(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE(at, at);
  return bytes;
}

let names = 0;

/** A worker's connection for bodies, in the hands of the test. */
async function worker(): Promise<{ socket: Socket; told: (word: string) => Promise<void>; ended: Promise<unknown> }> {
  const name = Buffer.alloc(8);
  name.writeUInt32LE(++names);
  const before = desk.connections;
  const socket = await dial(redis, GATEWAY, name, "bodies");
  assert.ok(socket !== null);
  await eventually(() => desk.connections === before + 1);
  const words: string[] = [];
  let heard = Buffer.alloc(0);
  socket.on("data", (bytes: Buffer) => {
    heard = Buffer.concat([heard, bytes]);
    while (heard.length >= TOLD_BYTES) {
      const { word, bytes: length } = readTold(heard.subarray(0, TOLD_BYTES));
      if (heard.length < TOLD_BYTES + length) return;
      heard = heard.subarray(TOLD_BYTES + length);
      words.push(word);
    }
  });
  return { socket, told: (word) => eventually(() => words.includes(word)), ended: once(socket, "close") };
}

describe("a worker gets a body by its ticket", () => {
  it("whole, whatever its size, and while it arrives", async () => {
    const fetcher = new BodyFetcher(redis);
    for (const length of [1, 65_536, 65_537, MANY]) {
      const body = await fetcher.fetch(GATEWAY, "call", desk.issue("call", whole(bytesOf(length))));
      assert.ok((await body.all()).equals(bytesOf(length)));
      assert.deepEqual([body.bytes, body.isWhole], [length, true]);
    }
    const source = new Source();
    const body = await fetcher.fetch(GATEWAY, "call", desk.issue("call", source));
    for (const text of ["first", "second"]) {
      source.add(Buffer.from(text));
      assert.equal(String(await body.next()), text);
    }
    source.finish("end");
    assert.equal(await body.next(), null);
    assert.equal(fetcher.connections, 1);
    assert.deepEqual(await redis.keys("sp:body:*"), []);
    fetcher.close();
    await eventually(() => desk.connections === 0);
  });

  it("and no more of it at once than the reader allows; others come meanwhile", async () => {
    const fetcher = new BodyFetcher(redis);
    const source = new Source();
    source.add(bytesOf(MANY));
    const body = await fetcher.fetch(GATEWAY, "slow", desk.issue("slow", source));
    await eventually(() => body.bytes === CREDIT_BYTES);
    const other = await fetcher.fetch(GATEWAY, "other", desk.issue("other", whole(bytesOf(MANY))));
    assert.equal((await other.all()).length, MANY);
    assert.deepEqual([source.taken, body.bytes], [CREDIT_BYTES, CREDIT_BYTES]);
    source.finish("end");
    assert.ok((await body.all()).equals(bytesOf(MANY)));
    fetcher.close();
    await eventually(() => desk.connections === 0);
  });

  it("until it wants no more: the rest is dropped, and the connection serves the next", async () => {
    const fetcher = new BodyFetcher(redis);
    const source = new Source();
    source.add(bytesOf(MANY));
    const body = await fetcher.fetch(GATEWAY, "early", desk.issue("early", source));
    assert.ok(((await body.next())?.length ?? 0) > 0);
    body.cancel();
    assert.deepEqual([await body.next(), body.isWhole, body.isLost], [null, false, false]);
    await eventually(() => source.isDropped);
    const next = await fetcher.fetch(GATEWAY, "next", desk.issue("next", whole(bytesOf(MANY))));
    assert.equal((await next.all()).length, MANY);
    assert.equal(fetcher.connections, 1);
    fetcher.close();
    await eventually(() => desk.connections === 0);
  });

  it("through Redis when it cannot dial", async () => {
    const fetcher = new BodyFetcher(redis, { isDirect: false });
    const body = await fetcher.fetch(GATEWAY, "remote", desk.issue("remote", whole(bytesOf(MANY))));
    assert.ok((await body.all()).equals(bytesOf(MANY)));
    assert.deepEqual([fetcher.connections, desk.connections, await redis.keys("sp:body:*")], [0, 0, []]);
    const nobody = await fetcher.fetch("nobody", "call", "ticket");
    await assert.rejects(nobody.all(), BodyLostError);
    fetcher.close();
  });
});

describe("a body is lost, and never looks whole", () => {
  for (const [what, how, lose] of [
    ["its client leaves", "gone", (source: Source) => source.finish("gone")],
    ["its gateway goes", "lost", () => desk.close()],
  ] as const) {
    it(`when ${what}`, async () => {
      const fetcher = new BodyFetcher(redis);
      const source = new Source();
      source.add(bytesOf(1_000));
      const body = await fetcher.fetch(GATEWAY, "call", desk.issue("call", source));
      const { promise, resolve } = Promise.withResolvers<string>();
      body.whenLost(resolve);
      assert.equal((await body.next())?.length, 1_000);
      lose(source);
      assert.equal(await promise, how);
      await assert.rejects(body.next(), BodyLostError);
      assert.deepEqual([body.isWhole, body.isLost], [false, true]);
      fetcher.close();
      await eventually(() => desk.connections === 0);
    });
  }

  it("when its worker goes: what is left of it is dropped", async () => {
    const source = new Source();
    source.add(bytesOf(MANY));
    const ticket = desk.issue("call", source);
    const { socket, told } = await worker();
    socket.write(encodeTake(1, "call", ticket));
    await told("data");
    socket.destroy();
    await eventually(() => source.isDropped);
    assert.deepEqual([desk.connections, desk.tickets], [0, 0]);
  });
});

describe("a ticket", () => {
  it("is of use once, for its own call, and while that is waited for", async () => {
    const fetcher = new BodyFetcher(redis);
    const lost = async (id: string, ticket: string) =>
      assert.rejects((await fetcher.fetch(GATEWAY, id, ticket)).all(), BodyLostError);
    const [first, second] = [desk.issue("one", whole(bytesOf(10))), desk.issue("two", whole(bytesOf(20)))];
    await lost("two", first);
    await lost("one", second);
    await lost("one", Buffer.alloc(TICKET_BYTES).toString("base64url"));
    assert.equal((await (await fetcher.fetch(GATEWAY, "one", first)).all()).length, 10);
    await lost("one", first);
    desk.cancel("two");
    await lost("two", second);
    assert.equal(desk.tickets, 0);
    fetcher.close();
    await eventually(() => desk.connections === 0);
  });

  it("is of no use through Redis either, once it was used", async () => {
    const source = new Source();
    source.add(bytesOf(10));
    const ticket = desk.issue("call", source);
    source.finish("end");
    const wrong: BodyQuestion = { ticket, id: "another" };
    await desk.hear(JSON.stringify(wrong));
    assert.equal(await redis.getdel("sp:body:another"), "");
    await redis.publish(bodyChannelOf(GATEWAY), JSON.stringify({ ticket, id: "call" }));
    await eventually(async () => (await redis.exists("sp:body:call")) === 1);
    assert.equal((await redis.getdel("sp:body:call"))?.length, 10);
    await desk.hear(JSON.stringify({ ticket, id: "call" }));
    assert.equal(await redis.getdel("sp:body:call"), "");
    const fetcher = new BodyFetcher(redis, { isDirect: false });
    await assert.rejects((await fetcher.fetch(GATEWAY, "call", ticket)).all(), BodyLostError);
    fetcher.close();
  });
});

describe("a gateway hangs up on a worker", () => {
  const ticketFor = (id: string) => desk.issue(id, whole(bytesOf(10)));
  for (const [what, words] of [
    ["that says no word", () => [Buffer.alloc(5, 9)]],
    ["that allows too much", () => [encodeTake(1, "call", desk.issue("call", new Source())), encodeCredit(1, 1)]],
    [
      "that takes two bodies under one number",
      () => [encodeTake(1, "call", desk.issue("call", new Source())), encodeTake(1, "other", ticketFor("other"))],
    ],
  ] as const) {
    it(`${what}, and says so`, async () => {
      const told = troubles.length;
      const { socket, ended } = await worker();
      for (const word of words()) socket.write(word);
      await ended;
      await eventually(() => troubles.length === told + 1);
      for (const id of ["call", "other"]) desk.cancel(id);
      assert.equal(desk.tickets, 0);
      await eventually(() => desk.connections === 0);
    });
  }

  it("of which another has the same name, and takes a word that comes byte for byte", async () => {
    const name = Buffer.from("bytewise");
    const [old, next] = [await dial(redis, GATEWAY, name, "bodies"), await dial(redis, GATEWAY, name, "bodies")];
    assert.ok(old !== null && next !== null);
    await once(old.resume(), "close");
    const heard = once(next, "data") as Promise<[Buffer]>;
    for (const byte of encodeTake(7, "call", ticketFor("call"))) next.write(Buffer.from([byte]));
    const { word, stream, bytes } = readTold((await heard)[0]);
    assert.deepEqual([word, stream, bytes], ["data", 7, 10]);
    next.destroy();
    await eventually(() => desk.connections === 0);
  });
});

describe("a worker that reads nothing", () => {
  it("has no more in the gateway's memory than a bound, however many bodies it takes", async () => {
    const { socket } = await worker();
    socket.pause();
    const sources = Array.from({ length: 64 }, () => new Source());
    for (const [index, source] of sources.entries()) {
      source.add(bytesOf(CREDIT_BYTES));
      socket.write(encodeTake(index + 1, `call-${index}`, desk.issue(`call-${index}`, source)));
    }
    await eventually(() => desk.tickets === 0);
    const read = () => sources.reduce((sum, source) => sum + source.taken, 0);
    assert.ok(read() < 4 * 1024 * 1024, `${read()} bytes of 16 MiB were read`);
    socket.write(encodeReset(64));
    await eventually(() => sources[63]?.isDropped === true);
    socket.destroy();
    await eventually(() => sources.every(({ isDropped }) => isDropped));
  });
});

describe("a worker hangs up on a gateway", () => {
  for (const [what, words] of [
    ["that says no word", [Buffer.alloc(TOLD_BYTES, 9)]],
    ["whose piece is too long", [encodeTold("data", 1, 65_537)]],
    [
      "that sends more than it may",
      Array.from({ length: 5 }, () => Buffer.concat([encodeTold("data", 1, 65_536), Buffer.alloc(65_536)])),
    ],
  ] as const) {
    it(what, async () => {
      const { Duplex } = await import("node:stream");
      const socket = Object.assign(new Duplex({ read() {}, write: (_bytes, _encoding, done) => done() }), {
        unref() {},
      });
      const { promise, resolve } = Promise.withResolvers<unknown>();
      const inlet = new BodyInlet(socket as unknown as Socket, resolve);
      const body = inlet.take("call", Buffer.alloc(TICKET_BYTES).toString("base64url"));
      for (const word of words) socket.push(word);
      assert.ok((await promise) instanceof RangeError);
      assert.deepEqual([body.isLost, inlet.isOpen], [true, false]);
    });
  }
});
