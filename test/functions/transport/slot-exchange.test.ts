/** Words of gateways about each other's calls in course. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { exchangeSlots } from "../../../functions/transport/slot-exchange.ts";
import { Holdings } from "../../../infra/std/fair-share.ts";
import { eventually } from "../../helpers/eventually.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

let redis: TestRedis;
before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());

function holdings(counts: Record<string, number>): Holdings {
  const all = new Holdings();
  for (const [tenant, count] of Object.entries(counts)) all.add(tenant, count);
  return all;
}

it("each hears of the others' calls by tenant, until they take it back or say no more", async () => {
  const connection = redis.connect();
  const hear = async (gateway: string, own: Holdings | null) => {
    const { gateways, calls } = await exchangeSlots(connection, gateway, own);
    return { gateways, calls: Object.fromEntries(calls.entries()) };
  };
  assert.deepEqual(await hear("one", holdings({ a: 3, b: 1 })), { gateways: 0, calls: {} });
  assert.deepEqual(await hear("two", holdings({ a: 2 })), { gateways: 1, calls: { a: 3, b: 1 } });
  assert.deepEqual(await hear("three", null), { gateways: 2, calls: { a: 5, b: 1 } });
  assert.deepEqual(await hear("one", null), { gateways: 1, calls: { a: 2 } });
  await eventually(async () => {
    await delay(50);
    return (await hear("three", null)).gateways === 0;
  });
  assert.equal(await connection.exists("sp:slots"), 0);
});

it("each hears of the others' calls of functions with a limit, and how many gateways have some", async () => {
  const connection = redis.connect();
  await exchangeSlots(connection, "four", null, holdings({ "a/shop": 3 }));
  await exchangeSlots(connection, "five", holdings({ a: 9 }), holdings({ "a/shop": 2, "b/shop": 1 }));
  const { gateways, calls, functions } = await exchangeSlots(connection, "six", null);
  assert.deepEqual([gateways, Object.fromEntries(calls.entries())], [2, { a: 9 }]);
  assert.deepEqual(Object.fromEntries(functions), {
    "a/shop": { calls: 5, gateways: 2 },
    "b/shop": { calls: 1, gateways: 1 },
  });
});
