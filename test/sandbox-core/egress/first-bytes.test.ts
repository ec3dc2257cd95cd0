/** Hellos that do not come, or come drop by drop, on a clock of the test's own. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { PassThrough } from "node:stream";
import { type TestContext, test } from "node:test";
import { awaitHello } from "../../../sandbox-core/egress/first-bytes.ts";

const LIMIT_MS = 10_000;
/** A record of TLS that promises 512 bytes of a hello. */
const BEGINNING = Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 0xfc]);

/** A connection, and what is awaited of it, with time standing still. */
function begin(t: TestContext) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const stream = new PassThrough();
  return { stream, hello: awaitHello(stream as unknown as Socket), pass: (ms: number) => t.mock.timers.tick(ms) };
}

test("a connection that says nothing is refused after ten seconds", async (t) => {
  const { stream, hello, pass } = begin(t);
  let isOver = false;
  void hello.then(() => {
    isOver = true;
  });
  pass(LIMIT_MS - 1);
  await new Promise(setImmediate);
  assert.equal(isOver, false);
  pass(1);
  assert.deepEqual(await hello, { refusal: "slow_hello" });
  assert.ok(stream.isPaused() && stream.listenerCount("data") === 0);
});

test("drops of a hello give no more time", async (t) => {
  const { stream, hello, pass } = begin(t);
  for (const byte of BEGINNING) {
    stream.write(Buffer.of(byte));
    await new Promise(setImmediate);
    pass(LIMIT_MS / 10);
  }
  pass(LIMIT_MS / 10);
  assert.deepEqual(await hello, { refusal: "slow_hello" });
});

test("one that ends within its hello is no refusal", async (t) => {
  const { stream, hello } = begin(t);
  stream.end(BEGINNING);
  assert.equal(await hello, null);
});
