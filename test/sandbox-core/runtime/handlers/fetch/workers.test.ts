/** Functions of Cloudflare Workers that import what their platform has. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RuntimeClient } from "../../../../helpers/runtime-client.ts";

test("an imported waitUntil keeps the call that it was called in", async () => {
  const code = `
    import { waitUntil, WorkerEntrypoint, env } from "cloudflare:workers";
    let outside;
    try { waitUntil(null) } catch (error) { outside = error.message }
    export default class extends WorkerEntrypoint {
      fetch(request) {
        waitUntil(new Promise((resolve) => setTimeout(resolve, 1)).then(() => console.log("worked for", request.url.at(-1))));
        return new Response([outside, env.A, this.env.A, typeof this.ctx.waitUntil].join("|"));
      }
    }`;
  await using runtime = await RuntimeClient.with(code, { env: { A: "a" } });
  assert.equal(await runtime.text({ path: "/1" }), "waitUntil was called outside of a call.|a|a|function");
  assert.equal(await runtime.text({ path: "/2" }), "waitUntil was called outside of a call.|a|a|function");
  // A call is idle, which the client waits for, when the work is done.
  assert.deepEqual(
    runtime.logs.map(({ call, text }) => [call, text]),
    [
      [1, "worked for 1"],
      [2, "worked for 2"],
    ],
  );
});
