/** Bytes between two sockets, on loopback, with sides that are slow, end early or break. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { after, test } from "node:test";
import { pass } from "../../../sandbox-core/egress/pass.ts";
import { PassingSocket } from "../../../sandbox-core/egress/passing-socket.ts";
import { reset } from "../../../sandbox-core/egress/reset.ts";
import { eventually } from "../../helpers/eventually.ts";

/** More than the kernel keeps for somebody who does not read. */
const MUCH = 16 * 1024 * 1024;

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
async function bridge(onBytes = (_direction: "up" | "down", _bytes: number) => true, first?: Buffer) {
  const to = { host: "127.0.0.1", allowHalfOpen: true };
  const client = connect({ ...to, port: (inside.address() as AddressInfo).port });
  const [accepted] = (await once(inside, "connection")) as [Socket];
  const far = new PassingSocket({ allowHalfOpen: true });
  far.connect({ ...to, port: (outside.address() as AddressInfo).port }).once("connect", () => far.pause());
  const [[host]] = (await Promise.all([once(outside, "connection"), once(far, "connect")])) as [[Socket], unknown];
  const near = PassingSocket.of(accepted);
  if (first) far.write(first);
  return { client, host, near, far, passed: pass({ near, far, onBytes }) };
}

/** Bytes of a connection's own. */
function bytesOf(index: number, length = MUCH): Buffer {
  return Buffer.alloc(length, createHash("sha512").update(`connection ${index}`).digest());
}

/** All that comes until the end. @throws Error when it breaks before */
async function wholeOf(socket: Socket): Promise<Buffer> {
  const pieces: Buffer[] = [];
  socket.on("data", (piece: Buffer) => pieces.push(piece)).resume();
  await once(socket, "end");
  return Buffer.concat(pieces);
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

test("a connection with much to pass leaves others their turn after four full reads", async () => {
  let [reads, most] = [0, 0];
  let turn = setImmediate(function next() {
    reads = 0;
    turn = setImmediate(next);
  });
  const { client, host, passed } = await bridge((_, bytes) => {
    if (bytes === 65_536) most = Math.max(most, ++reads);
    return true;
  });
  client.end(bytesOf(1)).resume();
  host.end();
  assert.ok((await wholeOf(host)).equals(bytesOf(1)));
  assert.equal(await passed, true);
  clearImmediate(turn);
  assert.ok(most > 0 && most <= 4, `${most} reads in a row`);
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
