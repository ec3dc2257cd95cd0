import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import type { Redis } from "ioredis";
import type { Reply } from "../../../functions/model/invocation.ts";
import { INLINE_REPLY_BYTES } from "../../../functions/transport/reply-frames.ts";
import { type ReplyHandlers, ReplyReceiver } from "../../../functions/transport/reply-receiver.ts";
import { ReplySender } from "../../../functions/transport/reply-sender.ts";
import { head } from "../../helpers/gateway.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

let server: TestRedis;
let redis: Redis;
before(async () => {
  server = await startRedis();
  redis = server.connect();
});
after(() => server.stop());

/** A gateway's end that collects what comes. */
class Inbox implements ReplyHandlers {
  readonly replies: Reply[] = [];
  readonly lostBodies: string[] = [];
  readonly receiver: ReplyReceiver;
  states: string[] = [];
  #wake = (): void => {};

  constructor(gatewayId: string) {
    this.receiver = new ReplyReceiver(redis, gatewayId, this);
  }

  onReply = (reply: Reply): void => {
    this.replies.push(reply);
    this.#wake();
  };
  onBodyLost = (id: string): void => {
    this.lostBodies.push(id);
    this.#wake();
  };
  onAway = (): void => {
    this.states.push("away");
    this.#wake();
  };
  onReady = (): void => {
    this.states.push("ready");
    this.#wake();
  };

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

async function inbox(gatewayId: string): Promise<Inbox> {
  const made = new Inbox(gatewayId);
  await made.receiver.ready;
  return made;
}

const bodyOf = (reply: Reply | undefined): string =>
  reply && "body" in reply ? Buffer.from(reply.body).toString() : "";

describe("replies", () => {
  it("reach the gateway that asked, whole and in order", async () => {
    const [a, b] = await Promise.all([inbox("a"), inbox("b")]);
    const sender = new ReplySender(redis);
    const odd = head("1", {
      headers: [
        ["__proto__", "x"],
        ["x", "caf\xe9 \u2603"],
      ],
      body: Buffer.from([0, 255]),
    });
    sender.send("a", odd);
    sender.send("b", head("2", { body: Buffer.from("for b") }));
    sender.send("a", { kind: "end", id: "1", outcome: "ok" });
    await a.until(() => a.replies.length === 2);
    await b.until(() => b.replies.length === 1);
    assert.deepEqual(a.replies, [
      { ...odd, body: Buffer.from([0, 255]) },
      { kind: "end", id: "1", outcome: "ok" },
    ]);
    assert.equal(bodyOf(b.replies[0]), "for b");
    a.receiver.close();
    b.receiver.close();
  });

  it("of one turn travel in one message", async () => {
    const watcher = server.connect();
    await watcher.subscribe("sp:reply:c");
    const messages: Buffer[] = [];
    watcher.on("messageBuffer", (_channel, message: Buffer) => messages.push(message));
    const gateway = await inbox("c");
    const sender = new ReplySender(redis);
    for (let i = 0; i < 100; i++) sender.send("c", head(String(i)));
    await gateway.until(() => gateway.replies.length === 100);
    await redis.publish("sp:reply:c", "");
    while (messages.length < 2) await once(watcher, "messageBuffer");
    assert.equal(messages.length, 2);
    gateway.receiver.close();
  });

  it("keep their order for each call when large bodies travel beside them, and leave none behind", async () => {
    const gateway = await inbox("d");
    const sender = new ReplySender(redis);
    const large = "L".repeat(INLINE_REPLY_BYTES + 1);
    const edge = "E".repeat(INLINE_REPLY_BYTES);
    sender.send("d", head("1", { streaming: true, body: Buffer.from(large) }));
    sender.send("d", { kind: "chunk", id: "1", body: Buffer.from("small") });
    sender.send("d", { kind: "chunk", id: "1", body: Buffer.from(large) });
    sender.send("d", { kind: "chunk", id: "1", body: Buffer.from(edge) });
    sender.send("d", { kind: "end", id: "1", outcome: "ok" });
    sender.send("d", head("2", { body: Buffer.from("other") }));
    await gateway.until(() => gateway.replies.length === 6);
    const ofOne = gateway.replies.filter(({ id }) => id === "1");
    assert.deepEqual(ofOne.map(bodyOf), [large, "small", large, edge, ""]);
    // A call that waits for no large body is not held up by one that does.
    assert.equal(gateway.replies[0]?.id, "2");
    assert.deepEqual(await redis.keys("sp:body:*"), []);
    gateway.receiver.close();
  });

  it("whose body is gone say so", async () => {
    const gateway = await inbox("e");
    const sender = new ReplySender(redis);
    const message = Promise.withResolvers<Buffer>();
    const watcher = server.connect();
    await watcher.subscribe("sp:reply:nobody");
    watcher.on("messageBuffer", (_channel, bytes: Buffer) => message.resolve(bytes));
    sender.send("nobody", head("1", { body: Buffer.alloc(100_000) }));
    const bytes = await message.promise;
    await redis.unlink(await redis.keys("sp:body:*"));
    await redis.publish("sp:reply:e", bytes);
    await gateway.until(() => gateway.lostBodies.length === 1);
    assert.deepEqual([gateway.lostBodies, gateway.replies], [["1"], []]);
    gateway.receiver.close();
  });

  it("that a broken connection sent twice arrive once", async () => {
    const gateway = await inbox("f");
    const watcher = server.connect();
    await watcher.subscribe("sp:reply:f");
    const sender = new ReplySender(redis);
    sender.send("f", { kind: "chunk", id: "1", body: Buffer.from("once") });
    const [, bytes] = await once(watcher, "messageBuffer");
    await redis.publish("sp:reply:f", bytes);
    sender.send("f", { kind: "end", id: "1", outcome: "ok" });
    await gateway.until(() => gateway.replies.some(({ kind }) => kind === "end"));
    assert.deepEqual(
      gateway.replies.map(({ kind }) => kind),
      ["chunk", "end"],
    );
    gateway.receiver.close();
  });
});

describe("a sender that is far ahead of its gateway", () => {
  const MEBIBYTE = Buffer.alloc(1024 * 1024);
  const chunks = (sender: ReplySender, gatewayId: string, id: string, count: number) => {
    for (let made = 0; made < count; made++) sender.send(gatewayId, { kind: "chunk", id, body: MEBIBYTE });
  };

  it("has room again as the gateway takes what was sent, one who waits after the other", async () => {
    const gateway = await inbox("i");
    const sender = new ReplySender(redis);
    assert.equal(sender.untilTaken("i"), null);
    chunks(sender, "i", "1", 5);
    assert.equal(sender.untilTaken("another"), null);
    const sent: string[] = [];
    const waiting = ["2", "3", "4"].map(async (id) => {
      await sender.untilTaken("i");
      // Whoever comes next finds no room, as this one took it.
      chunks(sender, "i", id, 5);
      sent.push(id);
      return gateway.replies.length;
    });
    const taken = await Promise.all(waiting);
    assert.deepEqual(sent, ["2", "3", "4"]);
    assert.ok(
      taken.every((replies, index) => replies > index * 5),
      String(taken),
    );
    await gateway.until(() => gateway.replies.length === 20);
    gateway.receiver.close();
  });

  it("waits no longer than a moment for one that takes nothing", async () => {
    const sender = new ReplySender(redis);
    chunks(sender, "gone", "1", 5);
    await sender.untilTaken("gone");
  });

  it("ends no stream of which it dropped a part", async () => {
    const gateway = await inbox("j");
    const errors: Error[] = [];
    const sender = new ReplySender(redis, { onError: (error) => errors.push(error) });
    chunks(sender, "j", "1", 70);
    await sender.flush();
    assert.match(errors[0]?.message ?? "", /dropped/);
    chunks(sender, "j", "1", 1);
    sender.send("j", { kind: "end", id: "1", outcome: "ok" });
    sender.send("j", head("2"));
    await gateway.until(() => gateway.replies.length > 0);
    assert.deepEqual(
      gateway.replies.map(({ id }) => id),
      ["2"],
    );
    gateway.receiver.close();
  });
});

describe("when Redis is killed", () => {
  it("a gateway is told, replies wait, and arrive once it listens again", async () => {
    const gateway = await inbox("g");
    const sender = new ReplySender(server.connect());
    await server.kill();
    await gateway.until(() => gateway.states.includes("away"));
    await server.restart();
    await gateway.until(() => gateway.states.at(-1) === "ready");
    sender.send("g", head("1", { body: Buffer.from("again") }));
    await sender.flush();
    await gateway.until(() => gateway.replies.length === 1);
    assert.equal(bodyOf(gateway.replies[0]), "again");
    assert.deepEqual([...new Set(gateway.states)], ["ready", "away"]);
    gateway.receiver.close();
  });

  it("a sender keeps only so much, and says what it dropped", async () => {
    const errors: Error[] = [];
    const connection = server.connect();
    const sender = new ReplySender(connection, { onError: (error) => errors.push(error) });
    await connection.ping();
    await server.kill();
    const body = Buffer.alloc(30 * 1024 * 1024);
    for (let i = 0; i < 3; i++) {
      sender.send(`h${i}`, head("1", { body }));
    }
    await new Promise<void>((resolve) => setImmediate(resolve));
    assert.equal(errors.length, 1);
    assert.match(errors[0]?.message ?? "", /dropped/);
    await server.restart();
    await sender.flush();
    sender.send("h", head("2"));
    await sender.flush();
    assert.equal(errors.length, 1);
  });
});
