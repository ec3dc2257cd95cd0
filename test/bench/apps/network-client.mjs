/**
 * The client of the suite `egress`: runs in a sandbox, whose network is what differs. It is asked
 * for one block of requests, or for one transfer, and answers with figures.
 */
import { once } from "node:events";
import { connect } from "node:net";

const CHUNK = Buffer.alloc(65_536);
const MIB = 2 ** 20;
/** Connections that are kept between blocks, by host. */
const kept = new Map();

export default async (request) => Response.json(await BLOCKS[request.headers.get("x-block")](await request.json()));

const BLOCKS = {
  /** Times of single requests, in milliseconds, one after the other over one kept connection. */
  async requests({ host, ports, bytes, durationMs }) {
    if (!kept.has(host)) kept.set(host, await open(host, ports.echo));
    const socket = kept.get(host);
    const message = CHUNK.subarray(0, bytes);
    const timesMs = [];
    const endMs = performance.now() + durationMs;
    do timesMs.push(await timeOf(socket, message));
    while (performance.now() < endMs);
    return timesMs;
  },

  /** MiB per second to the server, until it says that all is there. */
  async up({ host, ports, mib }) {
    const socket = await open(host, ports.sink);
    const startMs = performance.now();
    const answered = once(socket, "data");
    const broken = once(socket, "close").then(() => Promise.reject(new Error("the connection has ended")));
    broken.catch(() => undefined);
    for (let left = mib * MIB; left > 0; left -= CHUNK.length)
      if (!socket.write(CHUNK)) await Promise.race([once(socket, "drain"), broken]);
    socket.end();
    await Promise.race([answered, broken]);
    return rate(mib, startMs, socket);
  },

  /** MiB per second from the server. */
  async down({ host, ports, mib }) {
    const socket = await open(host, ports.source);
    const startMs = performance.now();
    let left = mib * MIB;
    const { promise, resolve, reject } = Promise.withResolvers();
    socket.on("data", (chunk) => {
      left -= chunk.length;
      if (left <= 0) resolve();
    });
    socket.on("close", () => reject(new Error(`${left} bytes did not come`)));
    socket.write(String(mib * MIB));
    await promise;
    return rate(mib, startMs, socket);
  },
};

async function open(host, port) {
  const socket = connect({ host, port, noDelay: true });
  await once(socket, "connect");
  // Whoever waits hears of its end.
  socket.on("error", () => undefined);
  return socket;
}

function timeOf(socket, message) {
  const { promise, resolve, reject } = Promise.withResolvers();
  const startMs = performance.now();
  let left = message.length;
  const onData = (chunk) => {
    left -= chunk.length;
    if (left > 0) return;
    socket.off("data", onData).off("close", onClose);
    resolve(performance.now() - startMs);
  };
  const onClose = () => reject(new Error("the connection has ended"));
  if (socket.destroyed) onClose();
  socket.on("data", onData).on("close", onClose);
  socket.write(message);
  return promise;
}

function rate(mib, startMs, socket) {
  const perSecond = (mib / (performance.now() - startMs)) * 1_000;
  socket.destroy();
  return perSecond;
}
