/** Handlers that a module registers instead of exporting. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RuntimeClient } from "../../../../helpers/runtime-client.ts";

const registering: [what: string, code: string, answer: string][] = [
  [
    "a listener of the event fetch",
    `addEventListener("fetch", (event) => event.respondWith(answer(event.request)));
     async function answer(request) { return new Response("hi " + new URL(request.url).pathname); }`,
    "hi /fn/main/hello/",
  ],
  [
    "a listener of self's, after others",
    `self.addEventListener('scheduled', () => {});
     self.addEventListener('fetch', () => {});
     self.addEventListener('fetch', { handleEvent(event) { event.waitUntil(Promise.resolve()); event.passThroughOnException(); event.respondWith("hi"); } });`,
    "hi",
  ],
  ["Deno.serve", `Deno.serve((request) => new Response("hi " + request.method));`, "hi GET"],
  [
    "Deno.serve with options",
    `Deno.serve({ port: 8000 }, (request, info) => new Response(info.remoteAddr.hostname + Deno.env.get("A")));`,
    "192.0.2.1b",
  ],
  [
    "Deno.serve, beside listeners of other events",
    `addEventListener("unhandledrejection", (event) => console.error(event.reason)); self.addEventListener("error", () => {});
     Deno.serve(() => "hi");`,
    "hi",
  ],
  ["Deno.serve with a handler among its options", `Deno.serve({ handler: () => "hi" });`, "hi"],
  [
    "a listener beside another export",
    `addEventListener("fetch", (e) => e.respondWith("hi")); export const help = () => "no";`,
    "hi",
  ],
];

for (const [what, code, answer] of registering) {
  test(`a handler is found in ${what}`, async () => {
    await using runtime = await RuntimeClient.with(code, { env: { A: "b" } });
    assert.equal(await runtime.text(), answer);
  });
}

test("a handler that is exported counts above one that is registered", async () => {
  await using runtime = await RuntimeClient.with(
    `addEventListener("fetch", (event) => event.respondWith("registered")); export default () => "exported";`,
  );
  assert.equal(await runtime.text(), "exported");
});

test("listeners that do not answer, or twice, fail the call", async () => {
  await using silent = await RuntimeClient.with(
    `addEventListener("fetch", async (event) => { await 1; event.respondWith("a"); })`,
  );
  assert.match((await silent.call()).failed?.message ?? "", /No listener of the event fetch called event\.respondWith/);
  await using twice = await RuntimeClient.with(
    `addEventListener("fetch", (e) => { e.respondWith("a"); e.respondWith("b"); })`,
  );
  assert.match((await twice.call()).failed?.message ?? "", /called twice/);
});

test("modules that register nothing find no such globals", async () => {
  await using runtime = await RuntimeClient.with(`
    new EventTarget().addEventListener("abort", () => {});
    export default () => [typeof addEventListener, typeof Deno, typeof self];`);
  assert.equal(await runtime.text(), '["undefined","undefined","undefined"]');
});

test("what packages of a bundle speak of is not there for that", async () => {
  const code = `// ../node_modules/framework/index.mjs
var found = typeof Bun !== "undefined" ? Bun.gc(Bun.serve({})) : "none";
// index.ts
`;
  await using runtime = await RuntimeClient.with(`${code}export default () => found;`);
  assert.equal(await runtime.text(), "none");
});
