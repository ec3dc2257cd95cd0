/**
 * Sockets of a sandbox's own network: what they take that no control group counts, and what is told
 * about everybody's. The attacks are native ones.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { FIRST_BUFFER_BYTES, HIDDEN, MOST_REMEMBERED, MOST_WAITING } from "../../sandbox-core/fork/network.ts";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { NATIVE_FLAGS } from "../helpers/native-module.ts";
import { openTestLauncher, SandboxClient } from "../helpers/sandbox-client.ts";

const SETTINGS = ["core/somaxconn", "ipv4/tcp_rmem", "ipv4/tcp_max_tw_buckets"].map((name) => `/proc/sys/net/${name}`);
const settingsOfHost = () => SETTINGS.map((path) => readFileSync(path, "utf8"));
const atFirst = settingsOfHost();

/** What comes of a call: the name of its error, or "done". */
const fate = (call: string) => `(() => { try { ${call}; return "done"; } catch (e) { return e.code; } })()`;
const [LISTEN, ACCEPT] = process.arch === "x64" ? [50, 43] : [201, 202];

/**
 * A server that accepts nobody, and clients that connect, send more than may wait, and leave. Gives
 * how many were connected, and the bytes of the first that wait with it.
 */
const CROWD = `(() => {
  const address = Buffer.from([2, 0, 0x80, 0x81, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  const server = native.socket(2, 1, 0);
  native.bind(server, address, 16);
  native.syscall("listen", ${LISTEN}, server, 65535);
  // Advice that is taken for done: SO_RCVBUF of the server is that of its connections.
  const size = Buffer.alloc(4);
  size.writeInt32LE(4_000_000, 0);
  native.setsockopt(server, 1, 8, size, 4);
  let connected = 0;
  for (let client = 0; client < ${4 * MOST_WAITING}; client++) {
    const fd = native.socket(2, 1 | 0x800, 0);
    try { native.connect(fd, address, 16); } catch {}
    const poll = Buffer.alloc(8);
    poll.writeInt32LE(fd, 0);
    poll.writeInt16LE(4, 4);
    const isConnected = native.poll(poll, 1, client < ${MOST_WAITING} ? 10_000 : 0) === 1;
    if (isConnected) {
      connected++;
      // No more than this: what senders keep is charged to the group on version 2, which would end
      // the sandbox first.
      try { native.write(fd, Buffer.alloc(65_536), 65_536); } catch {}
    }
    native.close(fd);
  }
  const waiting = Buffer.alloc(4);
  native.ioctl(native.syscall("accept", ${ACCEPT}, server, 0, 0), 0x541b, waiting);
  return { connected, bytes: waiting.readInt32LE(0) };
})()`;

/**
 * Connects and hangs up, again and again. Gives of how many the kernel still knows (TIME_WAIT,
 * which is 06 in proc_net(5)).
 */
const REMEMBERED = `(() => {
  const address = Buffer.from([2, 0, 0x80, 0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  const server = native.socket(2, 1, 0);
  native.bind(server, address, 16);
  native.syscall("listen", ${LISTEN}, server, 1);
  for (let client = 0; client < ${2 * MOST_REMEMBERED}; client++) {
    const fd = native.socket(2, 1, 0);
    native.connect(fd, address, 16);
    const accepted = native.syscall("accept", ${ACCEPT}, server, 0, 0);
    native.close(fd);
    native.close(accepted);
  }
  return fs.readFileSync("/proc/self/net/tcp", "utf8").match(/^ *\\d+: \\S+ \\S+ 06 /gm).length;
})()`;

describe("sockets of a sandbox", () => {
  let launcher: ZygoteLauncher;
  before(async () => {
    launcher = await openTestLauncher({ zygoteFlags: NATIVE_FLAGS });
  });
  after(() => launcher.close());

  it("that wait to be accepted are few, and hold little, whatever their server asks for", async () => {
    const { connected, bytes } = (await SandboxClient.evaluate(launcher, CROWD)) as Record<string, number>;
    assert.equal(connected, MOST_WAITING + 1);
    assert.ok(Number(bytes) > 0 && Number(bytes) <= FIRST_BUFFER_BYTES, `${bytes} bytes`);
  });

  it("are forgotten soon after their end, when they are many", async () => {
    const remembered = Number(await SandboxClient.evaluate(launcher, REMEMBERED));
    assert.ok(remembered > 0 && remembered <= MOST_REMEMBERED, `${remembered} connections`);
  });

  it("take no filter, and tell nothing of the process at the other end", async () => {
    const found = await SandboxClient.evaluate(
      launcher,
      `[
        ${[26, 50, 51, 52].map((option) => fate(`native.setsockopt(3, 1, ${option}, Buffer.alloc(16), 16)`)).join()},
        ${[77, 17, 31, 59].map((option) => fate(`native.getsockopt(3, 1, ${option}, Buffer.alloc(64), Buffer.from([64, 0, 0, 0]))`)).join()},
      ]`,
    );
    assert.deepEqual(found, Array(8).fill("EPERM"));
  });

  it("serve with the backlog that Node asks for, and many bytes get through", async () => {
    const served = await SandboxClient.evaluate(
      launcher,
      `new Promise((done, fail) => {
        const server = net.createServer((socket) => socket.end(Buffer.alloc(8 << 20))).listen({ port: 0, backlog: 511 }, () => {
          let bytes = 0;
          net.connect(server.address().port).on("data", (chunk) => (bytes += chunk.length)).on("end", () => done(bytes)).on("error", fail);
        });
      })`,
    );
    assert.equal(served, 8 << 20);
  });

  it("have the options that Node's fetch sets, over either version of IP", async () => {
    const fetched = await SandboxClient.evaluate(
      launcher,
      `Promise.all(["127.0.0.1", "[::1]"].map(async (host) => {
        const { createServer } = await import("node:http");
        const server = createServer((request, response) => response.end("fetched")).listen(0, host.replace(/[[\\]]/g, ""));
        await once(server, "listening");
        return (await fetch("http://" + host + ":" + server.address().port)).text();
      }))`,
    );
    assert.deepEqual(fetched, ["fetched", "fetched"]);
  });

  it("of others are not counted for it, by whichever way through /proc, in a fork of a template too", async () => {
    const read = `(() => {
      const own = fs.readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name));
      const ways = ["self", "thread-self", ...own, ...own.flatMap((pid) => fs.readdirSync("/proc/" + pid + "/task").map((tid) => pid + "/task/" + tid))];
      const attempt = (path) => { try { fs.readFileSync(path); return "read"; } catch (e) { return e.code; } };
      const tries = ways.flatMap((way) => ${JSON.stringify(HIDDEN)}.map((name) => attempt("/proc/" + way + "/net/" + name)));
      return [ways.length > 2, tries.includes("EACCES"), tries.filter((result) => !["EACCES", "ENOENT"].includes(result))];
    })()`;
    assert.deepEqual(await SandboxClient.evaluate(launcher, read), [true, true, []]);
    assert.deepEqual(await SandboxClient.evaluateInFork(launcher, read), [true, true, []]);
  });

  it("leave the host's settings and files as they were", () => {
    assert.deepEqual(settingsOfHost(), atFirst);
    for (const name of ["sockstat", "softnet_stat", "unix"])
      assert.ok(readFileSync(`/proc/self/net/${name}`).length > 0);
  });
});
