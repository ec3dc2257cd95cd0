/** Calls that were queued a while ago begin only while their gateway waits for them. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import type { Redis } from "ioredis";
import type { Invocation } from "../../../functions/model/invocation.ts";
import { ClaimAnswerer, ClaimAsker } from "../../../functions/transport/claims.ts";
import { InvocationQueue, InvocationWorker } from "../../../functions/transport/invocation-queue.ts";
import { eventually } from "../../helpers/eventually.ts";
import { newInvocation } from "../../helpers/invocations.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

const OLD_MS = 10_000;

let server: TestRedis;
let redis: Redis;
let asker: ClaimAsker;
let answerer: ClaimAnswerer;
let gatewayId: string;
const waitedFor = new Set<string>();
before(async () => {
  server = await startRedis();
  redis = server.connect();
});
after(() => server.stop());
beforeEach(async () => {
  gatewayId = randomUUID();
  waitedFor.clear();
  answerer = new ClaimAnswerer(redis, gatewayId, (id) => waitedFor.has(id));
  asker = new ClaimAsker(server.connect());
  await listened(gatewayId);
  await listens(newCall());
});
afterEach(() => {
  asker.close();
  answerer.close();
});

const newCall = (ageMs = 0): Invocation => newInvocation({ replyTo: gatewayId, enqueuedAtMs: Date.now() - ageMs });

async function listened(id: string): Promise<void> {
  await eventually(async () => ((await redis.pubsub("NUMSUB", `sp:claims:${id}`)) as [string, number])[1] === 1);
}

/** Resolves when a call that is made now is nothing to ask about. */
async function listens(call: Invocation): Promise<void> {
  while (asker.stillWaitedFor([{ ...call, enqueuedAtMs: Date.now() }]) !== null)
    await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("a worker", () => {
  it("asks nothing about calls that have just been queued", () => {
    assert.equal(asker.stillWaitedFor([newCall(), newCall()]), null);
  });

  it("hears which of the old ones are waited for, with the young ones of their job", async () => {
    const calls = [newCall(OLD_MS), newCall(OLD_MS), newCall()];
    for (const { id } of calls.slice(1)) waitedFor.add(id);
    assert.deepEqual(await asker.stillWaitedFor(calls), calls.slice(1));
  });

  it("hears that a gateway is gone, and so are its calls", async () => {
    const there = newCall(OLD_MS);
    waitedFor.add(there.id);
    const gone = newInvocation({ replyTo: randomUUID(), enqueuedAtMs: Date.now() - OLD_MS });
    assert.deepEqual(await asker.stillWaitedFor([gone, there]), [there]);
  });

  it("asks about calls, however young, that were queued before its connection broke", async () => {
    const [kept, givenUp] = [newCall(), newCall()];
    waitedFor.add(kept.id);
    await server.kill();
    await eventually(() => asker.stillWaitedFor([newCall()]) !== null);
    await server.restart();
    await listened(gatewayId);
    await listens(newCall());
    assert.deepEqual(await asker.stillWaitedFor([kept, givenUp]), [kept]);
  });
});

describe("calls in the queue", () => {
  it("are run, or answered unrun, as their gateway says", async () => {
    const queue = new InvocationQueue(server.connect());
    await queue.ready();
    const calls = [newCall(OLD_MS), newCall(OLD_MS), newCall(OLD_MS)];
    const [kept] = calls as [Invocation, Invocation, Invocation];
    waitedFor.add(kept.id);
    await Promise.all(calls.map((call) => queue.submit(call)));
    const [ran, unrun]: [string[], string[]] = [[], []];
    const worker = new InvocationWorker(redis, {
      freeSlots: () => 100,
      run: async ({ id }) => void ran.push(id),
      lost: async () => {},
      stillWaitedFor: (some) => asker.stillWaitedFor(some),
      givenUp: async (some) => void unrun.push(...some.map(({ id }) => id)),
    });
    worker.start();
    await eventually(() => unrun.length === 2);
    await worker.close();
    assert.deepEqual(ran, [kept.id]);
    assert.deepEqual(
      unrun,
      calls.slice(1).map(({ id }) => id),
    );
    assert.equal(await redis.llen("sp:queue:calls:active"), 0);
    await queue.close();
  });
});
