/**
 * What the kernel charges to no group: a sandbox that has too much of it is ended when the machine
 * is short of it, and nobody else is.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { MOST_SOCKETS, TOO_MANY_SOCKETS, takenPages } from "../../../sandbox-core/launcher/machine-watch.ts";
import { NATIVE_FLAGS } from "../../helpers/native-module.ts";
import { evaluating, openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";

const LISTEN = process.arch === "x64" ? 50 : 201;

/**
 * So many connections that nobody accepts, of servers that have 128 each. Their clients are gone.
 */
const crowd = (connections: number) => `(() => {
  const address = Buffer.from([2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  for (let made = 0; made < ${connections}; made++) {
    if (made % 128 === 0) {
      address.writeUInt16BE(20_000 + made / 128, 2);
      const server = native.socket(2, 1, 0);
      native.bind(server, address, 16);
      native.syscall("listen", ${LISTEN}, server, 128);
    }
    const client = native.socket(2, 1, 0);
    native.connect(client, address, 16);
    native.close(client);
  }
  return "waiting";
})()`;

let launcher: ZygoteLauncher;
let isShort = false;
const looks: (() => void)[] = [];
before(async () => {
  const isShortOfTcp = () => {
    for (const looked of looks.splice(0)) looked();
    return isShort;
  };
  launcher = await openTestLauncher({ zygoteFlags: NATIVE_FLAGS, isShortOfTcp });
});
after(() => launcher.close());

/** The machine is looked at once more, from the beginning to the end. */
async function looked(): Promise<void> {
  for (let look = 0; look < 2; look++) await new Promise<void>((resolve) => looks.push(resolve));
}

test("whoever has too many sockets is ended when the machine is short of memory for them, and nobody else", async () => {
  await using hoarder = await SandboxClient.with(launcher, evaluating(crowd(MOST_SOCKETS + 128)));
  await using neighbour = await SandboxClient.with(launcher, evaluating(crowd(MOST_SOCKETS / 2)));
  for (const client of [hoarder, neighbour]) assert.equal(await client.text(), '"waiting"');
  await looked();
  assert.notEqual(hoarder.sandbox.stats(), null);
  isShort = true;
  const exit = await hoarder.sandbox.exited;
  await looked();
  isShort = false;
  assert.notEqual(neighbour.sandbox.stats(), null);
  assert.equal(exit.overuse, TOO_MANY_SOCKETS);
});

test("what TCP takes of the machine is counted from the kernel's own figures", () => {
  const sockstat = "sockets: used 56\nTCP: inuse 2 orphan 0 tw 67 alloc 40 mem 313\nUDP: inuse 0 mem 260\n";
  assert.equal(takenPages(sockstat), 393);
  assert.equal(takenPages(""), 0);
});
