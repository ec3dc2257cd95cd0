/**
 * Descriptors that a sandbox sends towards the worker. Whoever reads a socket closes what was
 * queued on it, in its own thread, and a close may sleep: of a TCP socket that lingers for as long
 * as its sender likes.
 */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { SO, SOL } from "../../sandbox-core/abi/linux.ts";
import { descriptorOf } from "../../sandbox-core/launcher/handle.ts";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { sys } from "../../sandbox-core/syscall/libc.ts";
import { canRefuseDescriptors } from "../../sandbox-core/syscall/steps.ts";
import { NATIVE_FLAGS } from "../helpers/native-module.ts";
import { evaluating, openTestLauncher, SandboxClient } from "../helpers/sandbox-client.ts";

/** Linux 6.16 and newer. */
const kernelRefuses = canRefuseDescriptors();
const SENT = kernelRefuses ? "EPERM" : "done";

/** What comes of a call: the name of its error, or "done". */
const fate = (call: string) => `(() => { try { ${call}; return "done"; } catch (e) { return e.code; } })()`;

/**
 * Fills a connection that nobody reads, would have its close wait for an hour, and leaves its last
 * descriptor to whoever reads the wire or the output: alone, and once more inside of another socket
 * that is queued.
 */
const LINGERING = `(async () => {
  const server = net.createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = net.connect(server.address().port, "127.0.0.1");
  await once(client, "connect");
  while (client.write(Buffer.alloc(65_536)));
  const fd = client._handle.fd;
  const linger = Buffer.alloc(8);
  linger.writeInt32LE(1, 0);
  linger.writeInt32LE(3_600, 4);
  const [one, other] = native.socketpair();
  const fates = [
    ${fate("native.setsockopt(fd, 1, 13, linger, 8)")},
    ${fate("native.sendDescriptors(one, Buffer.from('x'), [fd])")},
    ${fate("native.sendDescriptors(1, Buffer.from('x'), [other])")},
    ${fate("native.sendDescriptors(1, Buffer.from('x'), [fd])")},
  ];
  for (const each of [one, other]) native.close(each);
  client.destroy();
  return fates;
})()`;

/**
 * What becomes of sending /dev/null over the output; and over the wire, which one byte more or less
 * would break.
 */
const WAYS = kernelRefuses ? [1, 3] : [1];
const PLAIN = `${JSON.stringify(WAYS)}.map((to) => ${fate("native.sendDescriptors(to, Buffer.from('x'), [0])")})`;

describe("a descriptor that is sent towards the worker", () => {
  let launcher: ZygoteLauncher;
  before(async () => {
    launcher = await openTestLauncher({ zygoteFlags: NATIVE_FLAGS });
  });
  after(() => launcher.close());

  it(`of a sandbox's gives ${SENT}, on the output and on the wire`, async () => {
    assert.deepEqual(
      await SandboxClient.evaluate(launcher, PLAIN),
      WAYS.map(() => SENT),
    );
  });

  it(`of a fork's of a template gives ${SENT}, and the worker's own towards the template arrive`, async () => {
    assert.deepEqual(
      await SandboxClient.evaluateInFork(launcher, PLAIN),
      WAYS.map(() => SENT),
    );
  });

  it("never has the worker wait: it cannot be made to linger, alone or inside of another", async () => {
    await using client = await SandboxClient.with(launcher, evaluating(LINGERING));
    assert.deepEqual(JSON.parse(await client.text()), ["EINVAL", "done", SENT, SENT]);
    // Closed by whoever was the last to have it, and this process goes on.
    client.sandbox.kill("the test is over");
    await client.sandbox.exited;
  });
});

it("a connection that is reset ends, though it cannot linger", async () => {
  await using launcher = { opened: await openTestLauncher(), [Symbol.asyncDispose]: () => launcher.opened.close() };
  const reset = `new Promise((done) => {
    const server = net.createServer((socket) => socket.resetAndDestroy()).listen(0, "127.0.0.1", () => {
      net.connect(server.address().port, "127.0.0.1").on("error", () => {}).on("close", () => done("closed")).resume();
    });
  })`;
  assert.equal(await SandboxClient.evaluate(launcher.opened, reset), "closed");
});

describe("the worker's end of every connection", { skip: !kernelRefuses && "a kernel before Linux 6.16" }, () => {
  for (const kind of ["fork", "exec"] as const)
    it(`of the ${kind} launcher takes no descriptors`, async () => {
      const launcher = await openTestLauncher({ kind });
      try {
        await using client = await SandboxClient.blank(launcher);
        for (const socket of [client.sandbox.wire, client.sandbox.stdio])
          assert.equal(passesRights(socket as Socket), 0);
      } finally {
        await launcher.close();
      }
    });
});

function passesRights(socket: Socket): number {
  const [value, length] = [Buffer.alloc(4), Buffer.from([4, 0, 0, 0])];
  sys.getsockopt(descriptorOf(socket), SOL.SOCKET, SO.PASSRIGHTS, value, length);
  return value.readInt32LE(0);
}
