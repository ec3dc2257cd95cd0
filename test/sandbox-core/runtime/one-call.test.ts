/** Forks of a template that serve one call, and when they end. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { encodeBody, encodeBodyEnd, encodeBodyLost } from "../../../sandbox-core/protocol/frames.ts";
import { openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";

let launcher: ZygoteLauncher;
before(async () => {
  launcher = await openTestLauncher();
});
after(() => launcher.close());

for (const [how, end] of [
  ["came", encodeBodyEnd],
  ["was lost", encodeBodyLost],
] as const)
  test(`one that replied before its body ${how} reads what comes, and ends then`, () => repliesEarly(end));

async function repliesEarly(end: (call: number) => Buffer): Promise<void> {
  await using template = await SandboxClient.template(launcher, `export default () => new Response("early");`);
  const fork = await template.fork();
  const call = fork.request({ method: "POST", bodyFollows: true });
  assert.equal((await fork.reply(call)).body.toString(), "early");
  await fork.next("idle");
  // A neighbour begins, serves and ends meanwhile: time enough to be gone.
  const neighbour = await template.fork();
  const neighbourEnded = once(neighbour.wire, "end");
  assert.equal(await neighbour.text(), "early");
  await neighbourEnded;
  assert.equal(fork.wire.readableEnded, false);
  const ended = once(fork.wire, "end");
  fork.wire.write(encodeBody(call, Buffer.alloc(65_536)));
  fork.wire.write(end(call));
  await ended;
  assert.equal(fork.wire.errored, null);
}
