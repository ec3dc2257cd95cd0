/** Replies over direct connections: what arrives, in which order, and after such a one broke. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { linkSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Redis } from "ioredis";
import type { Reply } from "../../../functions/model/invocation.ts";
import { type Announcement, announcementKey } from "../../../functions/transport/direct-handshake.ts";
import type { DirectPlaces } from "../../../functions/transport/direct-listener.ts";
import { type ReplyHandlers, ReplyReceiver } from "../../../functions/transport/reply-receiver.ts";
import { ReplySender } from "../../../functions/transport/reply-sender.ts";
import { eventually } from "../../helpers/eventually.ts";
import { head } from "../../helpers/gateway.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

let server: TestRedis;
let redis: Redis;
before(async () => {
  server = await startRedis();
  redis = server.connect();
});
after(() => server.stop());

let gateways = 0;

/** A gateway's end that workers can dial, and what came of them. */
class Inbox implements ReplyHandlers {
  readonly id = `gateway-${gateways++}`;
  readonly replies: Reply[] = [];
  readonly troubles: string[] = [];
  readonly receiver: ReplyReceiver;

  constructor(places: Partial<DirectPlaces>) {
    this.receiver = new ReplyReceiver(redis, this.id, this, { socketDir: null, address: null, ...places });
  }

  onReply = (reply: Reply): void => void this.replies.push(reply);
  onTrouble = (message: string): void => void this.troubles.push(message);

  static async open(places: Partial<DirectPlaces> = { socketDir: tempDir() }): Promise<Inbox> {
    const inbox = new Inbox(places);
    await inbox.receiver.ready;
    return inbox;
  }

  get announced(): Promise<Announcement> {
    return redis.get(announcementKey(this.id)).then((text) => JSON.parse(text ?? "null") as Announcement);
  }

  /** Has what is announced read otherwise. */
  async announce(change: Partial<Announcement>): Promise<void> {
    await redis.set(announcementKey(this.id), JSON.stringify({ ...(await this.announced), ...change }));
  }

  /** The bodies of a call's replies. */
  bodies(id = "1"): string[] {
    return this.replies.flatMap((reply) => (reply.id === id && "body" in reply ? [textOf(reply)] : []));
  }

  async until(count: number): Promise<void> {
    await eventually(() => this.replies.length >= count);
  }
}

function textOf(reply: Exclude<Reply, { kind: "end" }>): string {
  const more = "more" in reply ? (reply.more ?? []) : [];
  return Buffer.concat([reply.body, ...more]).toString("latin1");
}

const chunk = (text: string | Buffer): Reply => ({ kind: "chunk", id: "1", body: Buffer.from(text) });

/** A sender whose direct connection to the gateway stands. */
async function directSender(gateway: Inbox): Promise<ReplySender> {
  const sender = new ReplySender(redis);
  sender.send(gateway.id, head("first"));
  await eventually(() => sender.directConnections === 1);
  await gateway.until(1);
  gateway.replies.length = 0;
  return sender;
}

/** A relay before a gateway's socket, which can stop passing bytes on, or break all connections. */
class Relay {
  readonly path = join(tempDir(), "relay.sock");
  readonly #pairs: [Socket, Socket][] = [];
  readonly #server: Server;
  #isOpen = true;

  private constructor(to: string) {
    this.#server = createServer({ pauseOnConnect: true }, (near) => {
      const far = connect(to);
      for (const socket of [near, far]) socket.on("error", () => {}).on("close", () => this.#end([near, far]));
      if (!this.#isOpen) return this.#end([near, far]);
      this.#pairs.push([near, far]);
      near.pipe(far);
      far.pipe(near);
    });
  }

  static async before(gateway: Inbox): Promise<Relay> {
    const { socket } = await gateway.announced;
    const relay = new Relay(socket?.path ?? "");
    relay.#server.listen(relay.path);
    await once(relay.#server, "listening");
    await gateway.announce({ socket: { path: relay.path, boot: socket?.boot ?? "" } });
    return relay;
  }

  /** Nothing passes any more, and no end is seen. */
  stall(): void {
    for (const [near, far] of this.#pairs) {
      near.unpipe(far);
      far.unpipe(near);
      near.pause();
      far.pause();
    }
  }

  /** Ends what passes, and all that comes. */
  break(): void {
    this.#isOpen = false;
    for (const pair of this.#pairs) this.#end(pair);
  }

  close(): void {
    this.break();
    this.#server.close();
  }

  #end(pair: [Socket, Socket]): void {
    for (const socket of pair) socket.destroy();
  }
}

/** A socket's file whose owner has gone without removing it. */
async function leaveDeadSocket(path: string): Promise<void> {
  const made = createServer().listen(`${path}-live`);
  await once(made, "listening");
  linkSync(`${path}-live`, path);
  made.close();
  await once(made, "close");
}

describe("replies over a direct connection", () => {
  it("need no Redis, whatever their size", async () => {
    const gateway = await Inbox.open();
    const sender = await directSender(gateway);
    await redis.config("RESETSTAT");
    const large = "L".repeat(3_000_000);
    sender.send(gateway.id, head("1", { body: Buffer.from(large) }));
    sender.send(gateway.id, head("2", { body: Buffer.from("small") }));
    await sender.flush();
    assert.deepEqual([gateway.bodies("1"), gateway.bodies("2")], [[large], ["small"]]);
    const stats = await redis.info("commandstats");
    assert.doesNotMatch(stats, /cmdstat_(publish|getdel):/);
    assert.deepEqual(gateway.receiver.figures, { connections: 1, strangers: 0, messages: { published: 1, direct: 2 } });
    await sender.close();
    await eventually(() => gateway.receiver.figures.connections === 0);
    gateway.receiver.close();
  });

  it("carry large bodies in pieces, of the sender's making or of the way's", async () => {
    const gateway = await Inbox.open();
    const sender = await directSender(gateway);
    const pieces = ["a", "b", "c"].map((letter) => Buffer.alloc(100_000, letter));
    const [body, ...more] = pieces as [Buffer, ...Buffer[]];
    sender.send(gateway.id, head("1", { body, more }));
    await sender.flush();
    assert.equal(gateway.bodies()[0], Buffer.concat(pieces).toString());
    const [reply] = gateway.replies;
    assert.ok(reply?.kind === "head" && (reply.more?.length ?? 0) > 0);
    await sender.close();
    gateway.receiver.close();
  });

  it("come over TCP where the gateway gives an address, and by another machine's socket never", async () => {
    const gateway = await Inbox.open({ socketDir: tempDir(), address: { host: "127.0.0.1", port: 0 } });
    const dialled: Socket[] = [];
    const path = join(tempDir(), "other.sock");
    const other = createServer((socket) => void dialled.push(socket.on("error", () => {}))).listen(path);
    await once(other, "listening");
    await gateway.announce({ socket: { path, boot: "another" } });
    const sender = await directSender(gateway);
    sender.send(gateway.id, head("1", { body: Buffer.from("by TCP") }));
    await sender.flush();
    assert.deepEqual(gateway.bodies(), ["by TCP"]);
    assert.deepEqual(gateway.receiver.figures.messages, { published: 1, direct: 1 });
    assert.equal(dialled.length, 0);
    await sender.close();
    gateway.receiver.close();
    other.close();
  });

  it("wait for what was published before them", async () => {
    const gateway = await Inbox.open();
    const sender = new ReplySender(redis);
    sender.send(gateway.id, chunk("published "));
    for (let number = 0; number < 200; number++) {
      sender.send(gateway.id, chunk(`${number} `));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await eventually(() => sender.directConnections === 1);
    for (let number = 200; number < 300; number++) sender.send(gateway.id, chunk(`${number} `));
    await sender.flush();
    await gateway.until(301);
    const wanted = ["published ", ...Array.from({ length: 300 }, (_, number) => `${number} `)];
    assert.deepEqual(gateway.bodies(), wanted);
    await sender.close();
    gateway.receiver.close();
  });

  it("that a broken connection may have lost arrive once, in order, through Redis", async () => {
    const gateway = await Inbox.open();
    const relay = await Relay.before(gateway);
    const broken: string[] = [];
    const sender = new ReplySender(redis, { onBroken: (id) => broken.push(id) });
    sender.send(gateway.id, chunk("published"));
    await eventually(() => sender.directConnections === 1);
    sender.send(gateway.id, chunk("passed"));
    await gateway.until(2);
    relay.stall();
    const large = "L".repeat(500_000);
    for (const text of ["stuck", large, "stuck as well"]) sender.send(gateway.id, chunk(text));
    await new Promise<void>((resolve) => setImmediate(resolve));
    relay.break();
    await eventually(() => sender.directConnections === 0);
    sender.send(gateway.id, chunk("after"));
    await sender.flush();
    await gateway.until(6);
    assert.deepEqual(gateway.bodies(), ["published", "passed", "stuck", large, "stuck as well", "after"]);
    assert.deepEqual(broken, [gateway.id]);
    assert.deepEqual(await redis.keys("sp:body:*"), []);
    relay.close();
    gateway.receiver.close();
  });

  it("go through Redis when the gateway reads none of them", async () => {
    const gateway = await Inbox.open();
    const relay = await Relay.before(gateway);
    const sender = new ReplySender(redis);
    sender.send(gateway.id, chunk("published"));
    await eventually(() => sender.directConnections === 1);
    relay.stall();
    const piece = "P".repeat(1024 * 1024);
    for (let count = 0; count < 10; count++) {
      await sender.untilTaken(gateway.id);
      sender.send(gateway.id, chunk(piece));
    }
    await sender.flush();
    assert.equal(sender.directConnections, 0);
    await gateway.until(11);
    assert.deepEqual(gateway.bodies(), ["published", ...Array<string>(10).fill(piece)]);
    relay.close();
    gateway.receiver.close();
  });

  it("arrive while Redis is away", async () => {
    const own = await startRedis();
    const connection = own.connect();
    const replies: Reply[] = [];
    const places = { socketDir: tempDir(), address: null };
    const receiver = new ReplyReceiver(connection, "g", (reply) => void replies.push(reply), places);
    await receiver.ready;
    const sender = new ReplySender(connection);
    sender.send("g", head("1"));
    await eventually(() => sender.directConnections === 1);
    await own.kill();
    sender.send("g", head("2"));
    await eventually(() => replies.length === 2);
    await sender.close();
    receiver.close();
    await own.stop();
  });
});

describe("places where gateways listen", () => {
  it("are their owner's alone, one for each gateway, and those of killed ones are removed", async () => {
    const socketDir = tempDir();
    const dead = createServer().listen(join(socketDir, "00000000000000aa.sock"));
    await once(dead, "listening");
    const [left, young] = ["00000000000000bb.sock", "00000000000000cc.sock"];
    for (const name of [left, young]) await leaveDeadSocket(join(socketDir, name));
    for (const name of [left, "00000000000000aa.sock"]) utimesSync(join(socketDir, name), 0, 0);
    writeFileSync(join(socketDir, "notes"), "no socket");
    const gateway = await Inbox.open({ socketDir });
    const another = await Inbox.open({ socketDir });
    const names = readdirSync(socketDir).filter((name) => name.endsWith(".sock"));
    assert.equal(names.length, 4);
    assert.ok(!names.includes(left) && names.includes(young));
    const { socket } = await gateway.announced;
    assert.equal(statSync(socketDir).mode & 0o777, 0o700);
    assert.equal(statSync(socket?.path ?? "").mode & 0o777, 0o600);
    gateway.receiver.close();
    another.receiver.close();
    dead.close();
    await once(dead, "close");
    assert.deepEqual(readdirSync(socketDir).sort(), [young, "notes"].sort());
    assert.equal(await gateway.announced, null);
  });

  it("that cannot be are told of, and replies are published", async () => {
    const file = join(tempDir(), "file");
    writeFileSync(file, "");
    const gateway = await Inbox.open({ socketDir: file });
    assert.equal(gateway.troubles.length, 1);
    const sender = new ReplySender(redis);
    sender.send(gateway.id, head("1"));
    await gateway.until(1);
    gateway.receiver.close();
  });

  it("that the operator gave and others have are refused", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const gateway = new Inbox({ address: { host: "127.0.0.1", port } });
    await assert.rejects(gateway.receiver.ready, /EADDRINUSE/);
    gateway.receiver.close();
    taken.close();
  });
});
