/** More bytes of replies than Redis takes: they wait, and none is lost. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { setTimeout } from "node:timers/promises";
import { eventually } from "../../helpers/eventually.ts";
import { stretched } from "../../helpers/slowness.ts";
import { type Answered, TestWorker } from "../../helpers/worker.ts";

const CALLS = 16;
const WHOLE = Buffer.alloc(5_000_000, 7);
/** How long a function takes to begin its reply; by then Redis does not answer any more. */
const DELAY_MS = 500;

let test: TestWorker;
before(async () => {
  test = await TestWorker.start({ SANDPIPER_MAX_SANDBOXES: String(CALLS), SANDPIPER_PREWARMED: String(CALLS) });
});
after(() => test.stop());

/**
 * Has many calls of a function reply while Redis is stopped, which goes on after they could have
 * been done.
 */
async function replyToStoppedRedis(name: string): Promise<void> {
  const callAll = () => Array.from({ length: CALLS }, () => test.call(name, { expiresInMs: stretched(60_000) }));
  assertWhole(await Promise.all(callAll())); // An instance for each.
  const calls = callAll();
  await eventually(() => test.worker.facts().running === CALLS);
  process.kill(test.redis.pid, "SIGSTOP");
  try {
    await setTimeout(DELAY_MS * 3);
  } finally {
    process.kill(test.redis.pid, "SIGCONT");
  }
  assertWhole(await Promise.all(calls));
}

function assertWhole(answers: Answered[]): void {
  for (const { outcome, body } of answers) {
    assert.deepEqual([outcome, body.length], ["ok", WHOLE.length]);
    assert.ok(body.equals(WHOLE));
  }
}

it("large replies arrive whole", async () => {
  await test.deploy(
    "large",
    `export default async () => {
      await new Promise((resolve) => setTimeout(resolve, ${DELAY_MS}));
      return new Response(new Uint8Array(${WHOLE.length}).fill(7));
    };`,
  );
  await replyToStoppedRedis("large");
});

it("streams arrive whole", async () => {
  await test.deploy(
    "streams",
    `export default async () => {
      await new Promise((resolve) => setTimeout(resolve, ${DELAY_MS}));
      let left = ${WHOLE.length};
      return new Response(new ReadableStream({ async pull(to) {
        const piece = new Uint8Array(Math.min(left, 50_000)).fill(7);
        left -= piece.length;
        to.enqueue(piece);
        if (left === 0) to.close();
        await new Promise(setImmediate);
      } }));
    };`,
    { timeoutMs: stretched(20_000) },
  );
  await replyToStoppedRedis("streams");
});
