/** Whoever dials a gateway that is no worker, or is one and does not behave. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Redis } from "ioredis";
import type { Reply } from "../../../functions/model/invocation.ts";
import { dial } from "../../../functions/transport/direct-dialer.ts";
import {
  type Announcement,
  announcementKey,
  bootOfMachine,
  CHALLENGE_BYTES,
  HELLO_BYTES,
  helloOf,
  newChallenge,
  PROOF_BYTES,
} from "../../../functions/transport/direct-handshake.ts";
import { MAX_MESSAGE_BYTES } from "../../../functions/transport/direct-inlet.ts";
import { directForm, frameBytes, frameOf } from "../../../functions/transport/reply-frames.ts";
import { ReplyReceiver } from "../../../functions/transport/reply-receiver.ts";
import { ReplySender } from "../../../functions/transport/reply-sender.ts";
import { eventually } from "../../helpers/eventually.ts";
import { head } from "../../helpers/gateway.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const GATEWAY = "gateway";
const SENDER = Buffer.from("sender-1");

let server: TestRedis;
let redis: Redis;
let receiver: ReplyReceiver;
let announced: Announcement;
const replies: Reply[] = [];
const troubles: string[] = [];

before(async () => {
  server = await startRedis();
  redis = server.connect();
  const handlers = {
    onReply: (reply: Reply) => void replies.push(reply),
    onTrouble: (message: string) => void troubles.push(message),
  };
  receiver = new ReplyReceiver(redis, GATEWAY, handlers, { socketDir: tempDir(), address: null });
  await receiver.ready;
  announced = JSON.parse((await redis.get(announcementKey(GATEWAY))) ?? "");
});
after(async () => {
  receiver.close();
  await server.stop();
});

const connections = () => receiver.figures.connections;

/** Somebody who dials; `ended` resolves at the connection's end. */
async function stranger(): Promise<{ socket: Socket; challenge: Buffer; ended: Promise<unknown> }> {
  const socket = connect(announced.socket?.path ?? "").on("error", () => {});
  const ended = once(socket, "close");
  const [challenge] = (await once(socket, "data")) as [Buffer];
  assert.equal(challenge.length, CHALLENGE_BYTES);
  socket.resume();
  return { socket, challenge, ended };
}

/** A worker's connection, of a name of its own, on which nothing was said. */
async function worker(name = SENDER): Promise<{ socket: Socket; ended: Promise<unknown> }> {
  const socket = await dial(redis, GATEWAY, name);
  assert.ok(socket !== null);
  const ended = once(socket, "close");
  socket.resume();
  return { socket, ended };
}

/** A message of one reply. */
function messageOf(number: number, reply: Reply): Buffer {
  const frame = frameOf(reply);
  return Buffer.concat(directForm({ number, frames: [frame], streams: new Set(), bytes: frameBytes(frame) }));
}

describe("a gateway hangs up on", () => {
  it("a stranger who says nothing, after a while", async () => {
    await (await stranger()).ended;
    assert.equal(connections(), 0);
  });

  it("a stranger who knows no token", async () => {
    const { socket, challenge, ended } = await stranger();
    socket.write(helloOf(Buffer.alloc(32), SENDER, challenge, newChallenge()));
    await ended;
    assert.equal(connections(), 0);
  });

  it("a stranger who says what a worker has said on another connection", async () => {
    const token = Buffer.from(announced.token, "base64");
    const [first, second] = [await stranger(), await stranger()];
    const hello = helloOf(token, SENDER, first.challenge, newChallenge());
    first.socket.write(hello);
    await eventually(() => connections() === 1);
    second.socket.write(hello);
    await second.ended;
    assert.equal(connections(), 1);
    first.socket.destroy();
    await eventually(() => connections() === 0);
  });

  it("a stranger who says more than a hello", async () => {
    const { socket, challenge, ended } = await stranger();
    const hello = helloOf(Buffer.from(announced.token, "base64"), SENDER, challenge, newChallenge());
    socket.write(Buffer.concat([hello, messageOf(1, head("smuggled"))]));
    await ended;
    assert.equal(hello.length, HELLO_BYTES);
    assert.ok(!replies.some(({ id }) => id === "smuggled"));
  });

  it("the oldest of many strangers, and takes a worker meanwhile", async () => {
    const first = await stranger();
    const others = await Promise.all(Array.from({ length: 64 }, stranger));
    // And not by its time alone.
    assert.ok(receiver.figures.strangers <= 64);
    await first.ended;
    const { socket } = await worker();
    assert.equal(connections(), 1);
    for (const one of [...others.map((other) => other.socket), socket]) one.destroy();
    await eventually(() => connections() === 0);
  });

  it("a worker's connection when the same worker dials anew", async () => {
    const [old, next] = [await worker(), await worker()];
    await old.ended;
    assert.equal(connections(), 1);
    next.socket.destroy();
    await eventually(() => connections() === 0);
  });

  for (const [what, bytes] of [
    ["a message that is too long", lengthOf(MAX_MESSAGE_BYTES + 1)],
    ["a message without a number", lengthOf(5)],
    ["a head that is longer than its message", damaged((message) => message.writeUInt32LE(0xff_ff_ff_ff, 10))],
    ["a head that is no JSON", damaged((message) => message.fill("x", 14, 20))],
    ["a body that is longer than its message", damaged((message) => message.writeUInt32LE(9, message.length - 4))],
    [
      "a body that is said to be elsewhere",
      damaged((message) => message.writeUInt32LE(0x80_00_00_09, message.length - 4)),
    ],
  ] as const) {
    it(`a worker that sends ${what}, and says so`, async () => {
      const [before, told] = [replies.length, troubles.length];
      const { socket, ended } = await worker(Buffer.from(newChallenge().subarray(0, 8)));
      socket.write(bytes);
      await ended;
      await eventually(() => troubles.length === told + 1);
      assert.deepEqual([replies.length, connections()], [before, 0]);
    });
  }
});

/** The beginning of a message of so many bytes. */
function lengthOf(bytes: number): Buffer {
  const message = Buffer.alloc(10);
  message.writeUInt32LE(bytes, 0);
  message.writeUIntLE(1, 4, 6);
  return message;
}

function damaged(damage: (message: Buffer) => void): Buffer {
  const message = messageOf(1, head("damaged"));
  damage(message);
  return message;
}

describe("a gateway", () => {
  it("takes a message that comes byte for byte, and each number once", async () => {
    const { socket } = await worker(Buffer.from("bytewise"));
    for (const byte of messageOf(1, head("bytes"))) socket.write(Buffer.from([byte]));
    socket.write(messageOf(1, head("again")));
    socket.write(messageOf(2, head("next")));
    await eventually(() => replies.some(({ id }) => id === "next"));
    assert.deepEqual(
      replies.map(({ id }) => id).filter((id) => ["bytes", "again", "next"].includes(id)),
      ["bytes", "next"],
    );
    socket.destroy();
    await eventually(() => connections() === 0);
  });

  it("hangs up on a worker when what should have been published before does not come", async () => {
    const { socket, ended } = await worker(Buffer.from("too-soon"));
    socket.write(messageOf(2, head("too soon")));
    await ended;
    assert.ok(!replies.some(({ id }) => id === "too soon"));
    await eventually(() => connections() === 0);
  });

  it("is not held up by a worker that asks without end and reads no answer", async () => {
    const { socket } = await worker(Buffer.from("asks-all"));
    socket.pause();
    for (let count = 0; count < 20_000; count++) socket.write(Buffer.alloc(4));
    socket.write(messageOf(1, head("behind the questions")));
    await eventually(() => replies.some(({ id }) => id === "behind the questions"));
    socket.destroy();
    await eventually(() => connections() === 0);
  });
});

describe("a worker", () => {
  it("says no reply to somebody who listens at a gateway's place", async () => {
    const heard: Buffer[] = [];
    const hungUp = Promise.withResolvers<void>();
    const path = join(tempDir(), "false.sock");
    const impostor = createServer((socket) => {
      socket.on("error", () => {}).on("close", () => hungUp.resolve());
      socket.on("data", (bytes) => {
        heard.push(bytes);
        socket.write(Buffer.alloc(PROOF_BYTES));
      });
      socket.write(newChallenge());
    }).listen(path);
    await once(impostor, "listening");
    const place: Announcement = {
      token: newChallenge().toString("base64"),
      socket: { path, boot: bootOfMachine() ?? "" },
    };
    await redis.set(announcementKey("elsewhere"), JSON.stringify(place));
    const sender = new ReplySender(redis);
    const published = once(await subscribed("sp:reply:elsewhere"), "messageBuffer");
    sender.send("elsewhere", head("secret", { body: Buffer.from("the tenant's own") }));
    await published;
    await hungUp.promise;
    assert.equal(sender.directConnections, 0);
    await sender.close();
    assert.equal(heard[0]?.length, HELLO_BYTES);
    impostor.close();
  });

  it("publishes when what is announced is nonsense", async () => {
    const published = once(await subscribed("sp:reply:odd"), "messageBuffer");
    await redis.set(announcementKey("odd"), "{");
    const sender = new ReplySender(redis);
    sender.send("odd", head("1"));
    await published;
    await sender.close();
  });
});

async function subscribed(channel: string): Promise<Redis> {
  const watcher = server.connect();
  await watcher.subscribe(channel);
  return watcher;
}
