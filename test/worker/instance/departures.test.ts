/** Calls whose clients leave. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import type { Reply } from "../../../functions/model/invocation.ts";
import { CancellationSender } from "../../../functions/transport/cancellations.ts";
import { Departures } from "../../../worker/instance/departures.ts";
import { eventually } from "../../helpers/eventually.ts";
import { type CallOptions, TestWorker } from "../../helpers/worker.ts";

let test: TestWorker;
let sender: CancellationSender;
before(async () => {
  test = await TestWorker.start({
    SANDPIPER_MAX_SANDBOXES: "2",
    SANDPIPER_PREWARMED: "0",
    SANDPIPER_MEMORY_BUDGET_BYTES: String(256 * 1024 * 1024),
  });
  sender = new CancellationSender(test.redis.connect());
});
after(() => test.stop());

/** The client of that call leaves. */
function leave(id: string): void {
  sender.send({ id, overAtMs: Date.now() + 60_000 });
}

/** Begins a call and gives its id; nobody waits for its answer. */
function begin(name: string, options: CallOptions = {}): string {
  const id = randomUUID();
  void test.call(name, { id, ...options });
  return id;
}

/** Resolves when the call has logged that. */
async function logged(name: string, id: string, text: string): Promise<void> {
  await eventually(async () => (await test.lines(name, id)).includes(text));
}

async function ended(id: string) {
  const { outcome, error, status } = await test.record(id);
  return { outcome, code: error?.code, status };
}

const CANCELLED = { outcome: "cancelled", code: "CLIENT_GONE", status: 499 };
/**
 * A limit far beyond what a test may take; and the worker, which takes two calls, has memory for
 * one instance.
 */
const SETTINGS = { timeoutMs: 600_000, memoryMiB: 256 } as const;

describe("a call whose client leaves", () => {
  it("hears of it, and its instance serves on", async () => {
    await test.deploy(
      "listens",
      `let calls = 0;
      export default async ({ signal, url }: Request) => {
        calls++;
        if (url.endsWith("/count")) return new Response(String(calls));
        console.log("began");
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        console.log("aborted", signal.reason.name);
        return new Response("for nobody");
      };`,
      SETTINGS,
    );
    const id = begin("listens");
    await logged("listens", id, "began");
    leave(id);
    await logged("listens", id, "aborted AbortError");
    assert.deepEqual(await ended(id), CANCELLED);
    assert.equal((await test.call("listens", { path: "/count" })).text, "2");
  });

  it("ends its stream", async () => {
    await test.deploy(
      "streams",
      `export default () => new Response(new ReadableStream({
        start(controller) { controller.enqueue(new TextEncoder().encode("first")); console.log("began"); },
        cancel(reason) { console.log("cancelled", reason.name); },
      }));`,
      SETTINGS,
    );
    const id = begin("streams");
    await logged("streams", id, "began");
    leave(id);
    await logged("streams", id, "cancelled AbortError");
    assert.deepEqual(await ended(id), { ...CANCELLED, status: 200 });
  });

  for (const [how, code] of [
    ["waits for ever", "await new Promise(() => {})"],
    ["never yields", "for (;;);"],
    [
      "has endless work left",
      `ctx.waitUntil(new Promise(() => {}));
      await new Promise((resolve) => request.signal.addEventListener("abort", resolve));`,
    ],
  ]) {
    it(`is ended with its instance when it ${how}`, async () => {
      const log = `if (!request.url.endsWith("/ok")) { console.log("began"); await new Promise(setImmediate); ${code} }`;
      await test.deploy(
        "ignores",
        `export default { async fetch(request: Request, env: unknown, ctx: any) { ${log} return new Response("ok"); } };`,
        SETTINGS,
      );
      const id = begin("ignores");
      await logged("ignores", id, "began");
      leave(id);
      assert.deepEqual(await ended(id), CANCELLED);
      // There is room for no other instance.
      assert.equal((await test.call("ignores", { path: "/ok" })).text, "ok");
    });
  }

  it("does not run when it waits for an instance, and neither does one that comes after that was heard", async () => {
    await test.deploy(
      "counts",
      `let calls = 0; let end: () => void;
      export default async ({ url, signal }: Request) => {
        calls++;
        if (url.endsWith("/hold")) {
          console.log("began");
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        }
        return new Response(String(calls));
      };`,
      SETTINGS,
    );
    const holding = begin("counts", { path: "/hold" });
    await logged("counts", holding, "began");
    const told = Promise.withResolvers<Reply>();
    const waiting = begin("counts", { method: "POST", body: Buffer.alloc(100_000), onReply: told.resolve });
    await eventually(() => test.worker.facts().pool.waiting === 1);
    leave(waiting);
    assert.deepEqual(await ended(waiting), CANCELLED);
    assert.deepEqual(await test.connection.keys("sp:body:*"), []);
    assert.equal((await told.promise).kind, "end");
    const coming = randomUUID();
    leave(coming);
    await eventually(async () => (await test.connection.zscore("sp:cancelled", coming)) !== null);
    const last = randomUUID();
    leave(last);
    leave(holding);
    assert.deepEqual(await ended(holding), CANCELLED);
    // The holding call's cancellation came after this one's.
    void test.call("counts", { id: coming });
    assert.deepEqual(await ended(coming), CANCELLED);
    assert.equal((await test.call("counts")).text, "2");
  });

  it("goes on with its work when it had answered before", async () => {
    await test.deploy(
      "works",
      `export default { fetch(request: Request, env: unknown, ctx: any) {
        request.signal.addEventListener("abort", () => console.log("aborted"));
        ctx.waitUntil(new Promise((resolve) => setTimeout(resolve, 1_000)).then(() => console.log("done")));
        return new Response("ok");
      } };`,
      SETTINGS,
    );
    const { id } = await test.call("works");
    leave(id);
    await logged("works", id, "done");
    assert.deepEqual(await test.lines("works", id), ["done"]);
    assert.equal((await ended(id)).outcome, "ok");
  });
});

describe("instances ended because clients left", () => {
  it("are few in a second for each function", () => {
    const departures = new Departures();
    const one = { tenant: "main", functionName: "one" } as Parameters<Departures["mayEnd"]>[0];
    const ends = Array.from({ length: 100 }, () => departures.mayEnd(one)).filter(Boolean);
    assert.ok(ends.length >= 1 && ends.length < 50);
    assert.ok(departures.mayEnd({ ...one, functionName: "other" }));
  });
});

describe("a call that its gateway gave up", () => {
  const cancellation = { id: "call", overAtMs: Date.now() + 60_000, unlessBegun: true as const };

  it("is over for the worker unless an instance has it", () => {
    const departures = new Departures();
    const waiting = departures.open("call");
    departures.hear(cancellation);
    assert.ok(waiting.hasLeft);
    departures.close("call");
    const running = departures.open("call");
    running.begin();
    departures.hear(cancellation);
    assert.ok(!running.hasLeft);
  });

  it("goes on in the function that has it", async () => {
    await test.deploy(
      "goes-on",
      `export default async ({ signal }: Request) => {
        console.log("began");
        await new Promise((resolve) => setTimeout(resolve, 200));
        return new Response(String(signal.aborted));
      };`,
      SETTINGS,
    );
    const id = randomUUID();
    const call = test.call("goes-on", { id });
    await logged("goes-on", id, "began");
    sender.send({ id, overAtMs: Date.now() + 60_000, unlessBegun: true });
    assert.equal((await call).text, "false");
  });
});
