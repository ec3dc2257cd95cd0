/** Connections to hosts of several addresses, some of which are silent, on loopback. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { after, test } from "node:test";
import { AF, SOCK } from "../../../sandbox-core/abi/linux.ts";
import { dial } from "../../../sandbox-core/egress/dial.ts";
import { sys } from "../../../sandbox-core/syscall/libc.ts";
import { internetAddress } from "../../../sandbox-core/syscall/sockets.ts";
import { eventually } from "../../helpers/eventually.ts";
import { stretched } from "../../helpers/slowness.ts";

/** Nobody is silent for so long: an address is gone on to while others are waited for. */
const FOREVER_MS = 2 ** 31 - 1;
const NET = `127.${1 + ((process.pid >> 8) & 15)}.${process.pid & 255}`;
const never = new AbortController().signal;

const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close();
});

/** A server at an address of the test's own, and its connections. */
async function serve(last: number, port = 0) {
  const open = new Set<Socket>();
  let accepted = 0;
  const server = createServer((socket) => {
    accepted += 1;
    open.add(socket);
    socket.on("error", () => undefined).on("close", () => open.delete(socket));
    socket.resume();
  });
  servers.push(server);
  server.listen(port, `${NET}.${last}`);
  await once(server, "listening");
  return { open, accepted: () => accepted, port: (server.address() as { port: number }).port };
}

/** An address that answers nothing: its queue is full, and the kernel drops what comes. */
async function silence(last: number, port: number): Promise<void> {
  const fd = sys.socket(AF.INET, SOCK.STREAM | SOCK.CLOEXEC, 0);
  const bytes = Uint8Array.from(`${NET}.${last}`.split(".").map(Number));
  const address = internetAddress(bytes, port);
  sys.bind(fd, address, address.length);
  sys.listen(fd, 0);
  const filler = connect(port, `${NET}.${last}`);
  filler.on("error", () => undefined);
  await once(filler, "connect");
  after(() => {
    filler.destroy();
    sys.close(fd);
  });
}

const at = (...lasts: number[]) => lasts.map((last) => `${NET}.${last}`);

test("an address that is silent keeps nobody from the next one, or from those behind it", async () => {
  const { port } = await serve(10);
  await silence(11, port);
  await silence(12, port);
  // Nobody listens at 13.
  const socket = await dial(at(11, 13, 12, 10), port, never, { attemptMs: FOREVER_MS, nextMs: 1 });
  assert.equal(socket?.remoteAddress, `${NET}.10`);
  socket?.destroy();
});

test("no more than three are tried at once, and what is given up makes room", async () => {
  const { port, accepted } = await serve(20);
  for (const last of [21, 22, 23]) await silence(last, port);
  const aborting = new AbortController();
  const waiting = dial(at(21, 22, 23, 20), port, aborting.signal, { attemptMs: FOREVER_MS, nextMs: 0 });
  // Each of these takes longer than the fourth would have to wait.
  for (let rounds = 0; rounds < 10; rounds++) {
    const other = await dial(at(21, 20), port, never, { attemptMs: FOREVER_MS, nextMs: 5 });
    other?.destroy();
  }
  await eventually(() => accepted() === 10);
  aborting.abort();
  assert.equal(await waiting, null);
  assert.equal(accepted(), 10);
  const socket = await dial(at(21, 22, 23, 20), port, never, { attemptMs: stretched(200), nextMs: 0 });
  assert.equal(socket?.remoteAddress, `${NET}.20`);
  socket?.destroy();
});

test("one connection is left of those that were made", async () => {
  const { port, ...first } = await serve(30);
  const second = await serve(31, port);
  for (let rounds = 0; rounds < 20; rounds++) {
    const socket = await dial(at(30, 31), port, never, { attemptMs: FOREVER_MS, nextMs: 0 });
    assert.ok(socket);
    await eventually(() => first.open.size + second.open.size === 1);
    socket.destroy();
    await eventually(() => first.open.size + second.open.size === 0);
  }
});

test("there is none where nobody listens, and none for whom nobody waits", async () => {
  const { port } = await serve(40);
  await silence(41, port);
  assert.equal(await dial(at(42, 43), port, never), null);
  assert.equal(await dial([], port, never), null);
  assert.equal(await dial(at(40), port, AbortSignal.abort()), null);
  const aborting = new AbortController();
  const waiting = dial(at(41), port, aborting.signal, { attemptMs: FOREVER_MS, nextMs: FOREVER_MS });
  aborting.abort();
  assert.equal(await waiting, null);
});
