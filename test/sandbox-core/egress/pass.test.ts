/** Bytes between two sockets, on loopback, with sides that are slow, end early or break. */
import assert from "node:assert/strict";
import { createCipheriv } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, Socket } from "node:net";
import { after, test } from "node:test";
import { SOL } from "../../../sandbox-core/abi/linux.ts";
import { spliceOnce } from "../../../sandbox-core/egress/kernel-pipe.ts";
import { pass } from "../../../sandbox-core/egress/pass.ts";
import { PassingSocket } from "../../../sandbox-core/egress/passing-socket.ts";
import { reset } from "../../../sandbox-core/egress/reset.ts";
import { sys } from "../../../sandbox-core/syscall/libc.ts";
import { eventually } from "../../helpers/eventually.ts";

/** Most bytes of one read: all that is more has come through the pipe of the kernel's. */
const MOST_READ = 65_536;
/** More than the kernel keeps for somebody who does not read. */
const MUCH = 16 * 1024 * 1024;

/** socket(7): more than any process but root's may ask for. */
const SO_RCVBUFFORCE = 33;

const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close();
});

async function listening(): Promise<Server> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

const [inside, outside] = await Promise.all([listening(), listening()]);

/** A client and a host, with the sockets between them that pass bytes on: `first` to the host. */
async function bridge(onBytes = (_direction: "up" | "down", _bytes: number) => true, first?: Buffer, passes = true) {
  const to = { host: "127.0.0.1", allowHalfOpen: true };
  const client = connect({ ...to, port: (inside.address() as AddressInfo).port });
  const [accepted] = (await once(inside, "connection")) as [Socket];
  const far = new PassingSocket({ allowHalfOpen: true });
  far.connect({ ...to, port: (outside.address() as AddressInfo).port }).once("connect", () => far.pause());
  const [[host]] = (await Promise.all([once(outside, "connection"), once(far, "connect")])) as [[Socket], unknown];
  const near = PassingSocket.of(accepted);
  if (first) far.write(first);
  const passed = passes ? pass({ near, far, onBytes }) : Promise.resolve(false);
  return { client, host, near, far, passed };
}

/** The same, where nothing is passed yet and the kernel keeps more for the relay. */
async function parted() {
  const { fd } = (inside as unknown as { _handle: { fd: number } })._handle;
  const size = Buffer.alloc(4);
  size.writeInt32LE(1_048_576);
  sys.setsockopt(fd, SOL.SOCKET, SO_RCVBUFFORCE, size, size.length);
  return bridge(undefined, undefined, false);
}

/** The same over unix sockets, as those to the injector are. */
async function paired(onBytes: (direction: "up" | "down", bytes: number) => boolean) {
  const [[client, near], [far, host]] = [sys.socketpair(), sys.socketpair()];
  const outer = (fd: number) => new Socket({ fd, readable: true, writable: true, allowHalfOpen: true }).pause();
  const passed = pass({ near: PassingSocket.at(near), far: PassingSocket.at(far), onBytes });
  return { client: outer(client), host: outer(host), passed };
}

/** Bytes of a connection's own. */
function bytesOf(index: number, length = MUCH): Buffer {
  const key = Buffer.alloc(16, `connection ${index}`);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** All that comes until the end. @throws Error when it breaks before */
async function wholeOf(socket: Socket): Promise<Buffer> {
  const pieces: Buffer[] = [];
  socket.on("data", (piece: Buffer) => pieces.push(piece)).resume();
  await once(socket, "end");
  return Buffer.concat(pieces);
}

/** The same, with a turn for everybody else after each piece. */
async function slowlyOf(socket: Socket): Promise<Buffer> {
  socket.on("data", () => {
    socket.pause();
    setImmediate(() => socket.resume());
  });
  return wholeOf(socket);
}

test("bytes of connections at once do not mix, and wait for readers that are slow", async () => {
  const bridges = [await bridge(), await bridge(), await bridge()];
  for (const [index, { client, host }] of bridges.entries()) {
    client.end(bytesOf(index));
    host.end(bytesOf(index + 10));
  }
  await eventually(() => bridges.every(({ near, far }) => near.writableLength > 0 && far.writableLength > 0));
  for (const { near, far } of bridges) assert.ok(near.writableLength + far.writableLength <= 4 * 65_536);
  for (const [index, { client, host, passed }] of bridges.entries()) {
    const [up, down] = await Promise.all([wholeOf(host), wholeOf(client)]);
    assert.ok(up.equals(bytesOf(index)) && down.equals(bytesOf(index + 10)));
    assert.equal(await passed, true);
  }
});

test("bulk goes through the kernel's pipe both ways, and whoever is slow gets all of it", async () => {
  const most = { up: 0, down: 0 };
  const onBytes = (direction: "up" | "down", bytes: number) => {
    most[direction] = Math.max(most[direction], bytes);
    return true;
  };
  const bridges = [await bridge(onBytes), await bridge(onBytes), await bridge(onBytes)];
  await Promise.all(
    bridges.map(async ({ client, host, passed }, index) => {
      client.end(bytesOf(index));
      host.end(bytesOf(index + 10));
      const [up, down] = await Promise.all([slowlyOf(host), slowlyOf(client)]);
      assert.ok(up.equals(bytesOf(index)) && down.equals(bytesOf(index + 10)));
      assert.equal(await passed, true);
    }),
  );
  assert.ok(most.up > MOST_READ && most.down > MOST_READ, JSON.stringify(most));
});

test("bulk that may not pass goes nowhere, not even into another connection", async () => {
  let [allowed, refused] = [0, 0];
  const { client, host, passed } = await bridge((_, bytes) => {
    if (bytes > MOST_READ) refused = bytes;
    else allowed += bytes;
    return refused === 0;
  });
  const other = await bridge();
  const pieces: Buffer[] = [];
  host.on("data", (piece: Buffer) => pieces.push(piece)).resume();
  client.on("error", () => undefined).end(bytesOf(1));
  await assert.rejects(once(host, "end"), { code: "ECONNRESET" });
  const received = Buffer.concat(pieces);
  assert.equal(await passed, false);
  assert.ok(refused > MOST_READ);
  assert.ok(received.length <= allowed, `${received.length} bytes of ${allowed}`);
  assert.ok(received.equals(bytesOf(1, received.length)));
  other.client.end(bytesOf(2));
  other.host.end(bytesOf(3));
  const [up, down] = await Promise.all([wholeOf(other.host), wholeOf(other.client)]);
  assert.ok(up.equals(bytesOf(2)) && down.equals(bytesOf(3)));
});

test("what another side does not take comes out of the pipe, and a broken side is told once", async () => {
  const { client, near, far } = await parted();
  client.write(bytesOf(1));
  let [passed, told] = [0, 0];
  let left: Buffer | undefined;
  await eventually(() => {
    const spliced = spliceOnce(near.fd, far.fd, (bytes) => {
      told += bytes;
      return true;
    });
    passed += spliced.count;
    left = spliced.left;
    return left !== undefined;
  });
  assert.equal(told, passed);
  assert.ok(left?.equals(bytesOf(1, passed).subarray(-left.length)));
  client.on("error", () => undefined).resetAndDestroy();
  await once(client, "close");
  assert.throws(
    () => {
      for (;;) spliceOnce(near.fd, far.fd, () => false);
    },
    { code: "ECONNRESET" },
  );
  for (const socket of [near, far]) reset(socket);
});

test("a side that breaks behind its bulk has the other one reset, though a splice met that", async () => {
  const { client, host, near, far } = await parted();
  const bulk = bytesOf(1, MOST_READ + 131_072);
  await new Promise((taken) => client.on("error", () => undefined).write(bulk, taken));
  let isBroken = false;
  const onBytes = () => {
    if (!isBroken) client.resetAndDestroy();
    isBroken = true;
    return true;
  };
  const passed = pass({ near, far, onBytes });
  await assert.rejects(wholeOf(host), { code: "ECONNRESET" });
  assert.equal(await passed, false);
});

test("bytes that wait for the host already go first", async () => {
  const { client, host, far, passed } = await bridge(undefined, bytesOf(1));
  assert.ok(far.writableLength > 0);
  client.end("next");
  host.end();
  const whole = await wholeOf(host);
  assert.ok(whole.subarray(0, MUCH).equals(bytesOf(1)));
  assert.equal(String(whole.subarray(MUCH)), "next");
  client.resume();
  assert.equal(await passed, true);
});

for (const [kind, made, longest] of [
  ["TCP, after a full read and four splices", bridge, 5],
  ["the injector, after four full reads", paired, 4],
] as const)
  test(`a connection with much to pass leaves others their turn: ${kind}`, async () => {
    let [reads, most] = [0, 0];
    let turn = setImmediate(function next() {
      reads = 0;
      turn = setImmediate(next);
    });
    const { client, host, passed } = await made((_, bytes) => {
      if (bytes >= MOST_READ) most = Math.max(most, ++reads);
      return true;
    });
    client.end(bytesOf(1)).resume();
    host.end();
    assert.ok((await wholeOf(host)).equals(bytesOf(1)));
    assert.equal(await passed, true);
    clearImmediate(turn);
    assert.ok(most > 0 && most <= longest, `${most} reads in a row`);
  });

test("before bytes are passed on they come as events, each in memory of its own", async () => {
  const pieces: Buffer[] = [];
  for (const text of ["one", "two"]) {
    const socket = new PassingSocket({}).on("data", (piece) => pieces.push(piece));
    socket.connect((outside.address() as AddressInfo).port, "127.0.0.1");
    const [peer] = (await once(outside, "connection")) as [Socket];
    peer.end(text).resume();
    await once(socket, "close");
  }
  assert.deepEqual(pieces.map(String), ["one", "two"]);
});

test("after the end of one side bytes pass the other way", async () => {
  const { client, host, passed } = await bridge();
  client.end("question");
  assert.equal(String(await wholeOf(host)), "question");
  host.end(bytesOf(1));
  assert.ok((await wholeOf(client)).equals(bytesOf(1)));
  assert.equal(await passed, true);
});

for (const breaks of ["client", "host"] as const)
  test(`when the ${breaks} breaks, the other one is reset, also while much is under way`, async () => {
    const { client, host, near, far, passed } = await bridge();
    const [broken, other, its] = breaks === "client" ? [client, host, far] : [host, client, near];
    broken.on("error", () => undefined).write(bytesOf(1));
    await eventually(() => its.writableLength > 0);
    reset(broken);
    await assert.rejects(wholeOf(other), { code: "ECONNRESET" });
    assert.equal(await passed, false);
  });

test("bytes that may not pass do not, and both sides are reset", async () => {
  const told: unknown[] = [];
  const { client, host, passed } = await bridge((direction, bytes) => told.push([direction, bytes]) < 2);
  client.write("one");
  host.resume();
  assert.equal(String(await once(host, "data")), "one");
  host.write("two");
  assert.equal(await passed, false);
  assert.deepEqual(told, [
    ["up", 3],
    ["down", 3],
  ]);
  await Promise.all([client, host].map((socket) => assert.rejects(wholeOf(socket), { code: "ECONNRESET" })));
});
