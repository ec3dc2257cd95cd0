/** What calls leave behind in their process. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RuntimeClient } from "../../helpers/runtime-client.ts";

/**
 * "/leave" leaves a timer that throws while the next call of "/wait" runs, which ends only then;
 * "/reject" a rejection; "/turn" answers a turn of the event loop later.
 */
const CODE = `
  let isWaiting = false, isThrown = false;
  function leave() {
    const timer = setInterval(() => {
      if (!isWaiting) return;
      clearInterval(timer);
      isThrown = true;
      throw new Error("left behind");
    }, 1);
  }
  async function untilThrown() {
    isWaiting = true;
    while (!isThrown) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  export default async ({ url }) => {
    if (url.endsWith("/leave")) leave();
    if (url.endsWith("/reject")) void Promise.reject(new Error("left behind"));
    if (url.endsWith("/wait")) await untilThrown();
    if (url.endsWith("/turn")) await new Promise((resolve) => setImmediate(resolve));
    return new Response("ok");
  };`;

test("an error that a call left behind is its own, and the call that runs then ends first", async () => {
  await using runtime = await RuntimeClient.with(CODE);
  await runtime.call({ path: "/leave" });
  const second = runtime.request({ path: "/wait" });
  assert.equal((await runtime.next("leaving")).lastBegun, second);
  assert.equal((await runtime.reply(second)).body.toString(), "ok");
  assert.equal((await runtime.next("idle")).call, second);
  assert.equal((await runtime.exited).code, 81);
  assert.match(runtime.logs[0]?.text ?? "", /^Uncaught Error: left behind/);
  assert.equal(runtime.logs[0]?.call, 1);
});

test("an error of a call longer ago is in no call's log, and names its invocation", async () => {
  await using runtime = await RuntimeClient.with(CODE);
  await runtime.call({ path: "/leave" });
  await runtime.call();
  await runtime.reply(runtime.request({ path: "/wait" }));
  assert.equal((await runtime.exited).code, 81);
  assert.match(runtime.logs[0]?.text ?? "", /^Left by the invocation 3f2504e0-\S+: Uncaught Error: left behind/);
  assert.equal(runtime.logs[0]?.call, null);
});

test("a process that is going to end says which call it began last, and begins no other", async () => {
  await using runtime = await RuntimeClient.with(CODE);
  // Each of the others takes a turn of the event loop, in which the process hears of what it left.
  const paths = ["/reject", "/turn", "/turn", "/turn", "/turn"];
  const numbers = runtime.together(() => paths.map((path) => runtime.request({ path })));
  assert.equal((await runtime.exited).code, 81);
  const { lastBegun } = await runtime.next("leaving");
  const answered = runtime.messages.flatMap((message) => (message.type === "head" ? [message.call] : []));
  assert.ok(lastBegun < (numbers.at(-1) ?? 0));
  assert.deepEqual(
    answered,
    numbers.filter((number) => number <= lastBegun),
  );
});
