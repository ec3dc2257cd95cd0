/** Requests that reach a runtime ahead of their turn. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { encodeWithdraw, MAX_CALLS_IN_LINE } from "../../../sandbox-core/protocol/frames.ts";
import { RuntimeClient } from "../../helpers/runtime-client.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

/**
 * Says how many calls run at once, and how many ran before; "/wait" takes until the next call's
 * request was there for long.
 */
const ONE_AT_A_TIME = `
  let running = 0, before = 0;
  export default async (request) => {
    running++;
    if (request.url.endsWith("/wait")) await new Promise((resolve) => setTimeout(resolve, 50));
    const seen = { running, before: before++ };
    running--;
    return Response.json(seen);
  };`;

test("calls run one after the other, in the order in which they came", async () => {
  await using runtime = await RuntimeClient.with(ONE_AT_A_TIME);
  const numbers = runtime.together(() => ["/wait", "/", "/wait", "/", "/"].map((path) => runtime.request({ path })));
  for (const [before, number] of numbers.entries()) {
    const { head, body } = await runtime.reply(number);
    assert.equal(head?.call, number);
    assert.deepEqual(JSON.parse(body.toString()), { running: 1, before });
    assert.equal((await runtime.next("idle")).call, number);
  }
});

test("a call that waits in line can be taken back, one that began cannot", async () => {
  await using runtime = await RuntimeClient.with(ONE_AT_A_TIME);
  const [first, second, third] = runtime.together(() => {
    const numbers = [runtime.request({ path: "/wait" }), runtime.request(), runtime.request()] as const;
    for (const number of numbers.slice(0, 2)) runtime.wire.write(encodeWithdraw(number));
    return numbers;
  });
  assert.equal((await runtime.next("withdrawn")).call, second);
  await runtime.reply(first);
  const { body } = await runtime.reply(third);
  assert.equal(JSON.parse(body.toString()).before, 1);
  assert.deepEqual(
    runtime.messages.filter(({ type }) => type === "withdrawn"),
    [],
  );
});

test("behind a call that blocked the process, what was taken back meanwhile does not begin", async () => {
  const end = join(tempDir(), "end");
  await using runtime = await RuntimeClient.with(
    `import { existsSync } from "node:fs";
    let before = 0;
    export default (request, env) => {
      const longFromMs = performance.now() + 10;
      while (before === 0 && (!existsSync(env.END) || performance.now() < longFromMs));
      return Response.json(before++);
    };`,
    { env: { END: end } },
  );
  // Read one by one, the first would have ended before the second came, and nothing would wait in
  // line. Only behind a call of some milliseconds does a runtime read before it goes on.
  const [first, second, third] = runtime.together(
    () => [runtime.request(), runtime.request(), runtime.request()] as const,
  );
  await new Promise((sent) => runtime.wire.write(encodeWithdraw(second), sent));
  writeFileSync(end, "");
  await runtime.reply(first);
  assert.equal((await runtime.next("withdrawn")).call, second);
  assert.equal((await runtime.reply(third)).body.toString(), "1");
});

test("nothing of a call's asynchronous context reaches the one behind it", async () => {
  await using runtime = await RuntimeClient.with(`
    import { AsyncLocalStorage } from "node:async_hooks";
    const storage = new AsyncLocalStorage();
    export default () => {
      const found = storage.getStore() ?? "nothing";
      storage.enterWith("left by another call");
      return new Response(found);
    };`);
  for (const number of [runtime.request(), runtime.request(), runtime.request()]) {
    assert.equal((await runtime.reply(number)).body.toString(), "nothing");
  }
});

test("what each call logs is its own", async () => {
  await using runtime = await RuntimeClient.with(
    `export default (request) => { console.log(new URL(request.url).pathname); return new Response("ok"); };`,
  );
  const numbers = ["/a", "/b", "/c"].map((path) => runtime.request({ path }));
  for (const number of numbers) await runtime.reply(number);
  assert.deepEqual(
    runtime.logs.map(({ call, text }) => [call, text]),
    numbers.map((number, index) => [number, `/fn/main/hello/${"abc"[index]}`]),
  );
});

test("a line is as long as the protocol says, and takes no request without its body", async () => {
  const never = "export default () => new Promise(() => {});";
  await using full = await RuntimeClient.with(never);
  for (let count = 0; count <= MAX_CALLS_IN_LINE; count++) full.request();
  await full.exited;
  await using bodiless = await RuntimeClient.with(never);
  bodiless.request();
  bodiless.request({ method: "POST", bodyFollows: true });
  await bodiless.exited;
});
