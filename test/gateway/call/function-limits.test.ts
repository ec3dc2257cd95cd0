/** Functions with `concurrency.max`: never more of their calls run at once. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { beat } from "../../../functions/store/workers.ts";
import { CancellationReceiver } from "../../../functions/transport/cancellations.ts";
import { FunctionLimits } from "../../../gateway/call/function-limits.ts";
import { GatewayMetrics } from "../../../gateway/metrics.ts";
import { Holdings } from "../../../infra/std/fair-share.ts";
import { eventually } from "../../helpers/eventually.ts";
import { startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { stretched } from "../../helpers/slowness.ts";

const MAX = 2;
let test: TestGateway;
let receiver: CancellationReceiver;
let beats: NodeJS.Timeout;
const metrics = new GatewayMetrics(0);
/** Calls of the function with a limit that run, and the most that ever did. */
const running = new Map<string, () => void>();
let most = 0;
const began: string[] = [];
before(async () => {
  test = await startTestGateway({ queueWaitMs: stretched(60_000) }, { metrics });
  test.answer = async ({ functionName, request }) => {
    if (functionName === "narrow") {
      const { promise, resolve } = Promise.withResolvers<void>();
      began.push(request.path);
      running.set(request.path, resolve);
      most = Math.max(most, running.size);
      await promise;
      running.delete(request.path);
    }
    return { body: Buffer.from("ran") };
  };
  receiver = new CancellationReceiver(test.connection, () => {});
  const info = { id: "w", host: "h", pid: 1, startedAtMs: 1, running: 0, room: 100 };
  const tell = () => void beat(test.connection, { ...info, posture: { launcher: "fork", degraded: [] } });
  beats = setInterval(tell, 500);
  tell();
  assert.equal((await test.deploy("narrow", { concurrency: { max: MAX } })).status, 201);
});
after(async () => {
  receiver.close();
  clearInterval(beats);
  await test.stop();
});
afterEach(() => {
  [most, began.length] = [0, 0];
});

async function held(): Promise<number> {
  const text = await metrics.registry.metrics();
  return Number(/^sandpiper_gateway_held_calls (\d+)$/m.exec(text)?.[1]);
}
const call = async (path: string, signal?: AbortSignal) =>
  (await fetch(`${test.url}/fn/main/${path}`, { ...(signal && { signal }) })).status;
/** Ends calls as they run until these are answered. */
async function endAll(calls: Promise<number>[]): Promise<number[]> {
  let isOver = false;
  const all = Promise.all(calls).finally(() => {
    isOver = true;
  });
  await eventually(() => {
    for (const end of running.values()) end();
    return isOver;
  });
  return all;
}

describe("a function with concurrency.max", () => {
  it("never has more calls running, and the others wait their turn", async () => {
    const calls = Array.from({ length: 12 }, (_, index) => call(`narrow/${index}`));
    await eventually(async () => running.size > 0 && running.size + (await held()) === calls.length);
    assert.equal(running.size, MAX);
    const [first = ""] = running.keys();
    running.get(first)?.();
    await eventually(() => began.length === MAX + 1);
    assert.equal(running.size, MAX, "one went for one that ended");
    assert.deepEqual(new Set(await endAll(calls)), new Set([200]));
    assert.deepEqual([most, began.length, await held()], [MAX, 12, 0]);
  });

  it("keeps no other function waiting, and forgets calls whose clients left", async () => {
    const calls = Array.from({ length: MAX }, (_, index) => call(`narrow/${index}`));
    await eventually(() => running.size === MAX);
    const leaving = new AbortController();
    const left = call("narrow/left", leaving.signal).catch(() => 0);
    await eventually(async () => (await held()) === 1);
    assert.equal(await call("hello/"), 200);
    leaving.abort();
    await eventually(async () => (await held()) === 0);
    const last = call("narrow/last");
    await eventually(async () => (await held()) === 1);
    assert.deepEqual(await endAll([...calls, last]), [200, 200, 200]);
    assert.equal(await left, 0);
    assert.deepEqual([most, began.includes("/left")], [MAX, false]);
  });

  it("has the limit of the version that is called", async () => {
    assert.equal((await test.deploy("narrow", { concurrency: { max: 4 } })).status, 200);
    const calls: Promise<number>[] = [];
    // The gateway hears of the new version in a moment.
    await eventually(async () => {
      calls.push(call(`narrow/${calls.length}`));
      const count = calls.length;
      await eventually(async () => running.size + (await held()) === count);
      return (await held()) > 0;
    });
    await eventually(() => running.size === 4);
    await endAll(calls);
    assert.equal(most, 4);
  });

  it("is refused with a limit that makes no sense", async () => {
    const wrong = [{ max: 0 }, { max: 1.5 }, { max: 1e9 }, { most: 1 }, { max: 2, reserved: 3 }, { reserved: 0 }, 3];
    for (const concurrency of wrong)
      assert.equal((await test.deploy("narrow", { concurrency })).status, 400, JSON.stringify(concurrency));
  });
});

describe("a limit, with several gateways", () => {
  const shop = { tenant: "main", functionName: "shop" };
  const elsewhere = (calls: number, gateways = 1) => ({
    ...{ gateways, calls: new Holdings() },
    functions: new Map([["main/shop", { calls, gateways }]]),
    reserved: new Map(),
  });
  /** Has as many calls run as may. */
  function fill(limits: FunctionLimits): number {
    const limit = limits.of(shop);
    assert.ok(limit);
    while (limits.admits(shop) && limit.running < 100) limit.running += 1;
    return limit.running;
  }

  it("is filled up by all together, and each has its part", () => {
    const limits = new FunctionLimits();
    limits.set(shop, 10);
    limits.hear(elsewhere(7), 0);
    assert.equal(fill(limits), 5, "its part, whatever the other has");
    limits.hear(elsewhere(2), 0);
    assert.equal(fill(limits), 8, "more while the other has less");
    assert.deepEqual([...(limits.word?.entries() ?? [])], [["main/shop", 8]]);
  });

  it("of fewer calls than gateways gives each one", () => {
    const limits = new FunctionLimits();
    limits.set(shop, 1);
    limits.hear(elsewhere(3, 3), 0);
    assert.equal(fill(limits), 1);
  });

  it("is forgotten when nothing of the function is left", () => {
    const limits = new FunctionLimits();
    limits.set(shop, 1);
    fill(limits);
    const limit = limits.of(shop);
    assert.ok(limit);
    limits.end(limit, true);
    assert.deepEqual([limits.of(shop), limits.word, limits.admits(shop)], [null, null, true]);
  });
});
