/** Functions with `concurrency.reserved`: their calls run, however many others there are. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { keptSlots } from "../../../functions/model/provisions/reserved.ts";
import { createKey } from "../../../functions/store/tenant.ts";
import { beat } from "../../../functions/store/workers.ts";
import { FunctionLimits } from "../../../gateway/call/function-limits.ts";
import { SlotShares } from "../../../gateway/call/slot-shares.ts";
import { GatewayMetrics } from "../../../gateway/metrics.ts";
import { Holdings } from "../../../infra/std/fair-share.ts";
import { eventually } from "../../helpers/eventually.ts";
import { deployment, head, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

const SLOTS = 24;
const RESERVED = 6;
const MANY = 100;

let test: TestGateway;
let metrics: GatewayMetrics;
let beats: NodeJS.Timeout;
/** Calls that run, by "tenant/function", and what ends each. */
const running = new Map<string, (() => void)[]>();
const count = (name: string) => running.get(name)?.length ?? 0;

async function figure(name: "slots" | "held_calls" | "reserved_slots"): Promise<number> {
  const text = await metrics.registry.metrics();
  return Number(new RegExp(`^sandpiper_gateway_${name} (\\d+)$`, "m").exec(text)?.[1]);
}
const call = (name: string) => fetch(`${test.url}/fn/${name}/`).then(({ status }) => status);
const flood = (name: string) => Array.from({ length: MANY }, () => call(name));
/** Ends all calls until these are answered. */
async function endAll(calls: readonly Promise<number>[]): Promise<number[]> {
  let isOver = false;
  const all = Promise.all(calls).finally(() => {
    isOver = true;
  });
  await eventually(() => {
    for (const ends of running.values()) for (const end of ends.splice(0)) end();
    return isOver;
  });
  return all;
}

describe("a function with concurrency.reserved", () => {
  beforeEach(async () => {
    running.clear();
    metrics = new GatewayMetrics(0);
    test = await startTestGateway({}, { metrics });
    test.slots = SLOTS;
    test.answer = async ({ id, tenant, functionName }) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const name = `${tenant}/${functionName}`;
      running.set(name, [...(running.get(name) ?? []), resolve]);
      test.slots -= 1;
      await promise;
      test.slots += 1;
      test.worker.slotsChanged();
      return head(id, { body: Buffer.from("ran") });
    };
    const info = { id: "w", host: "h", pid: 1, startedAtMs: 1, running: 0, room: SLOTS };
    const tell = () => void beat(test.connection, { ...info, posture: { launcher: "fork", degraded: [] } });
    beats = setInterval(tell, 500);
    tell();
    await eventually(async () => (await figure("slots")) === SLOTS);
  });
  afterEach(async () => {
    test.answer = () => ({ body: Buffer.from("ran") });
    for (const ends of running.values()) for (const end of ends) end();
    clearInterval(beats);
    await test.stop();
  });

  it("has its calls run while others of its own tenant, and of others, wait for slots", async () => {
    const { key } = await createKey(test.connection, "other");
    const headers = { "content-type": "application/json", authorization: `Bearer ${key}` };
    const body = JSON.stringify(deployment("loud"));
    assert.equal((await test.api("/v1/functions/loud", { method: "PUT", body, headers })).status, 201);
    assert.equal((await test.deploy("kept", { concurrency: { reserved: RESERVED } })).status, 201);
    const shown = (await (await test.api("/v1/functions/kept")).json()) as { reservedSlots: number };
    assert.equal(shown.reservedSlots, RESERVED);
    await eventually(async () => (await figure("reserved_slots")) === RESERVED);
    const calls = [...flood("main/hello"), ...flood("other/loud")];
    await eventually(async () => (await figure("held_calls")) > 0 && count("main/hello") + count("other/loud") > 0);
    const kept = Array.from({ length: RESERVED }, () => call("main/kept"));
    await eventually(() => count("main/kept") === RESERVED);
    assert.ok(count("main/hello") + count("other/loud") <= SLOTS - RESERVED);
    assert.ok((await figure("held_calls")) > 0, "the floods wait");
    await endAll([...calls, ...kept]);
    assert.deepEqual(new Set(await Promise.all(kept)), new Set([200]));
  });
});

describe("reserved slots", () => {
  const nobody = {
    gateways: 0,
    calls: new Holdings(),
    functions: new Map<string, { calls: number; gateways: number }>(),
  };
  const reserved = new Map([["main/kept", 4]]);

  it("are kept for their function alone, and given to all when it asks for none", () => {
    const [limits, shares] = [new FunctionLimits(), new SlotShares()];
    const hear = (asked: Map<string, number>) => {
      limits.hear({ ...nobody, reserved: asked }, 12);
      shares.hear(12, nobody, asked.size > 0);
    };
    const fill = () => {
      let passed = 0;
      while (shares.admits("other", limits.free) && passed < 100) shares.pass(`${passed++}`, "other");
      return passed;
    };
    hear(reserved);
    assert.deepEqual([fill(), limits.free], [8, 4]);
    const kept = { tenant: "main", functionName: "kept" };
    assert.ok(limits.isReserved(kept) && !limits.isReserved({ tenant: "main", functionName: "hello" }));
    for (let used = 1; used <= 4; used++) shares.pass(`kept${used}`, "main", limits.of(kept));
    assert.deepEqual([limits.isReserved(kept), limits.free], [false, 0]);
    const ended = shares.end("kept1");
    assert.ok(ended?.limit);
    limits.end(ended.limit, true);
    assert.deepEqual([limits.isReserved(kept), limits.free, shares.admits("other", limits.free)], [true, 1, false]);
    hear(new Map());
    assert.deepEqual([limits.free, shares.admits("other", limits.free)], [0, true]);
  });

  it("count the calls that other gateways have in them", () => {
    const limits = new FunctionLimits();
    limits.hear({ ...nobody, functions: new Map([["main/kept", { calls: 3, gateways: 1 }]]), reserved }, 12);
    assert.equal(limits.free, 1);
  });

  it("are half of all at most, and shared by what is asked for", () => {
    const asked = new Map([
      ["a/x", 6],
      ["b/y", 3],
    ]);
    assert.deepEqual([...keptSlots(asked, 18).values()], [6, 3]);
    assert.deepEqual([...keptSlots(asked, 9).values()], [2, 1]);
    assert.deepEqual([...keptSlots(asked, 0).values()], [0, 0]);
  });
});
