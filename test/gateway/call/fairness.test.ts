/** A tenant with more calls than there are slots, and its neighbour. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { createKey } from "../../../functions/store/tenant.ts";
import { beat } from "../../../functions/store/workers.ts";
import { CancellationReceiver } from "../../../functions/transport/cancellations.ts";
import { SlotShares } from "../../../gateway/call/slot-shares.ts";
import { GatewayMetrics } from "../../../gateway/metrics.ts";
import { Holdings } from "../../../infra/std/fair-share.ts";
import { eventually } from "../../helpers/eventually.ts";
import { deployment, head, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

const SLOTS = 32;
/** What one tenant may have of them. */
const MOST = 28;
const MANY = 200;

let test: TestGateway;
let metrics: GatewayMetrics;
let beats: NodeJS.Timeout;
let receiver: CancellationReceiver;
/** Tenants of the calls that began, in order, and what ends each call. */
const began: string[] = [];
const ends: (() => void)[] = [];

beforeEach(async () => {
  began.splice(0);
  ends.splice(0);
  metrics = new GatewayMetrics(0);
  test = await startTestGateway({}, { metrics });
  let running = 0;
  test.answer = async ({ id, tenant }) => {
    running++;
    test.slots = SLOTS - running;
    began.push(tenant);
    await new Promise<void>((resolve) => ends.push(resolve));
    running--;
    test.slots = SLOTS - running;
    test.worker.slotsChanged();
    return head(id, { body: Buffer.from("ran") });
  };
  test.slots = SLOTS;
  receiver = new CancellationReceiver(test.connection, () => {});
  const info = { id: "w", host: "h", pid: 1, startedAtMs: 1, running: 0, room: SLOTS };
  const tell = () => void beat(test.connection, { ...info, posture: { launcher: "fork", degraded: [] } });
  beats = setInterval(tell, 500);
  tell();
  const { key } = await createKey(test.connection, "few");
  const deployed = await test.api("/v1/functions/calm", {
    method: "PUT",
    body: JSON.stringify(deployment("calm")),
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
  });
  assert.equal(deployed.status, 201, await deployed.clone().text());
  await eventually(async () => (await figure("slots")) === SLOTS);
});
afterEach(async () => {
  // A call that runs on would keep the worker's side from its end.
  test.answer = () => ({ body: Buffer.from("ran") });
  for (const end of ends.splice(0)) end();
  receiver.close();
  clearInterval(beats);
  await test.stop();
});

async function figure(name: "slots" | "held_calls"): Promise<number> {
  const text = await metrics.registry.metrics();
  return Number(new RegExp(`^sandpiper_gateway_${name} (\\d+)$`, "m").exec(text)?.[1]);
}

const call = async (path: string): Promise<number> => (await fetch(`${test.url}/fn/${path}`)).status;

/** Ends whatever runs until all of these calls are answered. */
async function endAll(calls: readonly Promise<number>[]): Promise<number[]> {
  let isOver = false;
  const all = Promise.all(calls).finally(() => {
    isOver = true;
  });
  await eventually(() => {
    for (const end of ends.splice(0)) end();
    return isOver;
  });
  return all;
}

describe("with all slots wanted by one tenant", () => {
  it("a neighbour's call begins at once, and the tenant's own go on as others of it end", async () => {
    const calls = Array.from({ length: MANY }, () => call("main/hello/"));
    await eventually(() => began.length === MOST);
    await eventually(async () => (await figure("held_calls")) > 0);
    const calm = call("few/calm/");
    await eventually(() => began.includes("few"));
    assert.equal(began.indexOf("few"), MOST, "no call of the other tenant had to end before");
    // The neighbour's call takes of what is kept back, which stays for the next that has nothing.
    for (const end of ends.splice(0, 2)) end();
    await eventually(() => began.length === MOST + 2);
    assert.equal(began.at(-1), "main");
    const statuses = await endAll([calm, ...calls]);
    assert.deepEqual(new Set(statuses.slice(0, 1)), new Set([200]));
    assert.equal(
      statuses.filter((status) => status === 200).length,
      began.length,
      "each call ran once, or was refused",
    );
    assert.equal(await figure("held_calls"), 0);
  });
});

describe("slots, with several gateways", () => {
  const elsewhere = (counts: Record<string, number>) => {
    const calls = new Holdings();
    for (const [tenant, count] of Object.entries(counts)) calls.add(tenant, count);
    return { gateways: 1, calls };
  };
  /** How many calls of a tenant a gateway gives away. */
  const passed = (shares: SlotShares, tenant: string): number => {
    let count = 0;
    while (shares.admits(tenant) && count < MANY) shares.pass(`${tenant}${count++}`, tenant);
    return count;
  };

  it("a tenant has its share of all, whatever gateways its calls come to", () => {
    const shares = new SlotShares();
    shares.hear(SLOTS, elsewhere({ many: 20 }));
    assert.equal(passed(shares, "many"), 14, "as many as the gateway's own part has for one tenant");
    assert.ok(shares.admits("few"));
    shares.hear(SLOTS, elsewhere({ many: 4 }));
    assert.equal(passed(shares, "many"), MOST - 4 - 14, "and more while others have fewer");
  });

  it("a tenant whose calls ended a moment ago finds its slots free, and a neighbour has them later", () => {
    const shares = new SlotShares();
    shares.hear(SLOTS, { gateways: 0, calls: new Holdings() });
    for (let i = 0; i < 4; i++) shares.pass(`few${i}`, "few");
    shares.endPeriod();
    passed(shares, "many");
    shares.endPeriod();
    for (let i = 0; i < 4; i++) shares.end(`few${i}`);
    assert.equal(shares.admits("many"), false, "while the few may come again");
    for (let i = 0; i < 4; i++) {
      assert.ok(shares.admits("few"), `call ${i}`);
      shares.pass(`again${i}`, "few");
    }
    for (let i = 0; i < 4; i++) shares.end(`again${i}`);
    shares.endPeriod();
    assert.equal(shares.admits("many"), false);
    shares.endPeriod();
    shares.endPeriod();
    assert.ok(shares.admits("many"), "when they have not");
  });

  it("a tenant that had most slots is kept its part of the gateway's own, and a neighbour its own", () => {
    const shares = new SlotShares();
    shares.hear(SLOTS, elsewhere({}));
    assert.equal(passed(shares, "many"), MOST);
    assert.equal(passed(shares, "few"), 2);
    shares.hear(SLOTS, elsewhere({ many: 14, few: 2 }));
    shares.endPeriod();
    // So much of the gateway's 16 that the neighbour's two are left, and one of its own.
    for (let i = 13; i < MOST; i++) shares.end(`many${i}`);
    for (let i = 0; i < 2; i++) shares.end(`few${i}`);
    assert.equal(shares.admits("many"), false);
    assert.equal(passed(shares, "few"), 2);
  });

  it("what a gateway keeps free for a tenant the others count as the tenant's", () => {
    const [one, other] = [new SlotShares(), new SlotShares()];
    one.hear(SLOTS, elsewhere({}));
    for (let i = 0; i < 12; i++) one.pass(`few${i}`, "few");
    one.pass("third", "third");
    one.endPeriod();
    for (let i = 0; i < 12; i++) one.end(`few${i}`);
    const { word } = one;
    assert.equal(word?.of("few"), 8, "its equal part of the gateway's own slots at most");
    other.hear(SLOTS, { gateways: 1, calls: new Holdings() });
    const withoutIt = passed(other, "many");
    for (let i = 0; i < withoutIt; i++) other.end(`many${i}`);
    other.hear(SLOTS, { gateways: 1, calls: word ?? new Holdings() });
    assert.deepEqual([withoutIt, passed(other, "many")], [MOST, MOST - 9]);
    for (let period = 0; period < 3; period++) one.endPeriod();
    assert.equal(one.word, null);
  });

  it("a gateway with few calls says nothing, and nothing is shared before the slots are known", () => {
    const shares = new SlotShares();
    assert.equal(passed(shares, "many"), MANY);
    for (let i = 0; i < MANY - 8; i++) assert.ok(shares.end(`many${i}`));
    shares.hear(SLOTS, { gateways: 0, calls: new Holdings() });
    const word = () => shares.word?.of("many") ?? null;
    assert.equal(word(), null);
    shares.pass("one more", "many");
    assert.equal(word(), 9);
    assert.equal(shares.end("no such"), null);
  });
});
