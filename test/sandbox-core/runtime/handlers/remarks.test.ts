/** Remarks on what a module has and will not get, and what its handler is called. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { requireBuiltin } from "../../../../sandbox-core/runtime/builtins.ts";
import { detectHandler, type HandlerWish } from "../../../../sandbox-core/runtime/handlers/detect.ts";
import { defineRegistrations } from "../../../../sandbox-core/runtime/handlers/registrations.ts";
import { remarksOn } from "../../../../sandbox-core/runtime/handlers/remarks.ts";

const FACTS = { functionName: "hello", version: "1", memoryMiB: 128, env: { GREETING: "hi" } };
const NO_WISH: HandlerWish = { handler: null, kind: null };

async function wordsOf(namespace: object, wish: Partial<HandlerWish> = {}, code = ""): Promise<string | undefined> {
  const deeds = { registrations: defineRegistrations(code, FACTS), startup: null };
  return (await detectHandler(namespace, FACTS, { ...NO_WISH, ...wish }, deeds)).words;
}

test("each handler says in words what it is", async () => {
  const lambda = async (event: unknown) => event;
  const node = (_req: unknown, res: { end(): void }) => res.end();
  const app = { use() {}, listen() {}, callback: () => node };
  for (const [namespace, words, wish] of [
    [{ default: { fetch() {} } }, "fetch"],
    [{ default: () => 1 }, "fetch"],
    [{ fetch() {} }, "fetch"],
    [{ GET() {}, POST() {} }, "fetch (GET, POST)"],
    [{ onRequestPost() {}, onRequest() {} }, "fetch (onRequestPost, onRequest)"],
    [{ hello: lambda }, "lambda (hello)"],
    [{ handler: lambda }, "lambda (handler)"],
    [{ default: lambda }, "lambda"],
    [{ handler: (event: { httpMethod: string }) => event.httpMethod }, "lambda-1.0 (handler)"],
    [{ default: node }, "node (req, res)"],
    [{ default: app }, "node (req, res)"],
    [{ helloHttp: node }, "node (req, res), helloHttp"],
    [{ seen: (cloudEvent: unknown) => cloudEvent }, "cloudevent (seen)"],
    [{ one: lambda, two: () => 1 }, "cloudevent (two)", { handler: "two", kind: "cloudevent" }],
    [{ default: { scheduled() {}, queue() {} } }, "scheduled, queue: not wired yet"],
    [{ queue: async (event: unknown) => event }, "lambda (queue)"],
    [{ default: { scheduled() {}, fetch() {} } }, "fetch"],
  ] as [object, string, HandlerWish?][]) {
    assert.equal(await wordsOf(namespace, wish), words);
  }
});

test("functions that register themselves are known by name, and several must be told apart", async () => {
  const code = 'require("@google-cloud/functions-framework")';
  const registrations = defineRegistrations(code, FACTS);
  const framework = requireBuiltin("@google-cloud/functions-framework") as Record<
    string,
    (...given: unknown[]) => void
  >;
  const detected = async (wish: Partial<HandlerWish> = {}, env: Record<string, string> = {}) =>
    (await detectHandler({}, { ...FACTS, env }, { ...NO_WISH, ...wish }, { registrations, startup: null })).words;
  framework.cloudEvent?.("seen", () => {});
  assert.equal(await detected(), "cloudevent (seen)");
  framework.http?.("hello-http", () => {});
  await assert.rejects(detected(), /registers seen, hello-http: name one by "handler" in sandpiper\.jsonc/);
  assert.equal(await detected({ handler: "hello-http" }), "node (req, res), hello-http");
  assert.equal(await detected({}, { FUNCTION_TARGET: "seen" }), "cloudevent (seen)");
  assert.throws(() => framework.http?.("no name", () => {}), /Invalid function name/);
  assert.throws(() => framework.http?.("none"), /The function none needs a handler/);
});

test("what Cloudflare alone has is named", () => {
  defineRegistrations('import "cloudflare:workers"', FACTS);
  const workers = requireBuiltin("cloudflare:workers") as Record<string, new () => object>;
  const { DurableObject = Object, WorkerEntrypoint = Object } = workers;
  assert.equal((workers as { env?: unknown }).env, FACTS.env);
  const namespace = {
    Counter: class extends DurableObject {},
    Other: class extends WorkerEntrypoint {},
    default: { fetch() {}, scheduled() {} },
  };
  const code = "env.DB.prepare('a'); this.env.FILES.put(1); env.GREETING.get(); env.DB.prepare('b'); env.lower.get()";
  const remarks = remarksOn(namespace, code, FACTS.env);
  assert.equal(remarks.length, 4, remarks.join("\n"));
  assert.match(
    remarks[0] ?? "",
    /^The export scheduled is not wired yet: nothing here calls it at times that are set\.$/,
  );
  assert.match(remarks[1] ?? "", /^The export Counter is a Durable Object, which nothing here makes/);
  assert.match(remarks[2] ?? "", /^env\.DB\.prepare\(\.\.\.\) is called.*\(a D1 database\)/);
  assert.match(remarks[3] ?? "", /^env\.FILES\.put\(\.\.\.\) is called.*\(a KV namespace or an R2 bucket\)/);
  assert.deepEqual(remarksOn({ default: () => 1 }, "", {}), []);
});

test("modules of Cloudflare's that are not there are named with what is", () => {
  assert.throws(
    () => requireBuiltin("cloudflare:sockets"),
    /no module "cloudflare:sockets": .*"cloudflare:workers" alone/,
  );
});
