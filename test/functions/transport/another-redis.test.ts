/** Calls when Redis is another one than before, or the network to it was cut. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { Invocation } from "../../../functions/model/invocation.ts";
import { linkOf } from "../../../functions/redis/link.ts";
import {
  type InvocationHandlers,
  InvocationQueue,
  InvocationWorker,
} from "../../../functions/transport/invocation-queue.ts";
import { CutProxy, through } from "../../helpers/cut-proxy.ts";
import { eventually } from "../../helpers/eventually.ts";
import { newInvocation } from "../../helpers/invocations.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

let server: TestRedis;
let redis: Redis;
let queue: InvocationQueue;
const workers: InvocationWorker[] = [];
before(async () => {
  server = await startRedis();
  redis = server.connect();
  queue = new InvocationQueue(redis);
  await queue.ready();
});
after(async () => {
  await queue.close();
  await server.stop();
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.close()));
});

/** A worker that says of each call what came of it. */
class Seen {
  readonly said: string[] = [];
  readonly worker: InvocationWorker;

  constructor(connection: Redis, handlers: Partial<InvocationHandlers> = {}) {
    const say = (what: string) => async (calls: Invocation[]) => {
      this.said.push(...calls.map(({ id }) => `${what} ${id}`));
    };
    this.worker = new InvocationWorker(connection, {
      freeSlots: () => 100,
      run: async (call) => say("ran")([call]),
      lost: say("lost"),
      expired: say("expired"),
      abandoned: say("abandoned"),
      ...handlers,
    });
    workers.push(this.worker);
    this.worker.start();
  }

  async reach(count: number): Promise<string[]> {
    await eventually(async () => this.said.length >= count);
    return this.said;
  }
}

const waiting = (): Promise<number> => redis.llen("sp:queue:calls:wait");

describe("a worker that lives on while Redis loses everything", () => {
  it("runs what comes then, whatever it remembers of before", async () => {
    const [atWork, unsaid, later] = [newInvocation(), newInvocation(), newInvocation()];
    const begun = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const seen: Seen = new Seen(redis, {
      async run({ id }) {
        seen.said.push(`ran ${id}`);
        if (id === atWork.id) {
          begun.resolve();
          await release.promise;
        }
        if (id !== unsaid.id) return;
        // Its lock is gone before its end can be said.
        const jobs = await redis.keys("sp:queue:calls:*:lock");
        await redis.del(...jobs);
      },
    });
    await queue.submit(atWork);
    await begun.promise;
    await queue.submit(unsaid);
    await seen.reach(2);
    const gone = new Promise((resolve) => linkOf(redis).once("change", resolve));
    await redis.flushall();
    // The first jobs of a Redis that knows of none.
    await queue.submit(later);
    assert.deepEqual(
      await seen.reach(3),
      [atWork, unsaid, later].map(({ id }) => `ran ${id}`),
    );
    await gone;
    await eventually(async () => (await redis.hget("sp:queue:calls:meta", "opts.maxLenEvents")) === "0");
    release.resolve();
  });
});

describe("calls that waited in a Redis that was started anew", () => {
  it("do not run, as their gateways have answered, and those that come then do", async () => {
    const before = newInvocation();
    await queue.submit(before);
    await server.kill();
    await server.restart();
    await queue.ready();
    assert.equal(await waiting(), 1);
    const then = newInvocation();
    await eventually(async () => queue.available);
    await queue.submit(then);
    const seen = new Seen(redis);
    assert.deepEqual((await seen.reach(2)).toSorted(), [`abandoned ${before.id}`, `ran ${then.id}`].toSorted());
    await eventually(async () => (await waiting()) === 0);
  });
});

describe("a worker whose network is cut", () => {
  it("takes calls again once it is healed, and loses none that came after", async () => {
    const proxy = await CutProxy.start(server);
    const connection = server.connect(through(proxy));
    const seen = new Seen(connection);
    const first = newInvocation();
    await queue.submit(first);
    await seen.reach(1);
    const link = linkOf(connection);
    proxy.cut();
    await eventually(async () => connection.status !== "ready" && !link.isWhole);
    const calls = [newInvocation(), newInvocation()];
    for (const call of calls) await queue.submit(call);
    proxy.heal();
    assert.deepEqual(
      await seen.reach(3),
      [first, ...calls].map(({ id }) => `ran ${id}`),
    );
    await seen.worker.close();
    connection.disconnect();
    proxy.stop();
  });

  it("puts no call back twice: it runs nowhere, or elsewhere, and counts as lost", async () => {
    const proxy = await CutProxy.start(server);
    const connection = server.connect(through(proxy));
    const [here, back] = [newInvocation(), newInvocation()];
    let room = 1;
    const seen: Seen = new Seen(connection, {
      freeSlots: () => room,
      async run({ id }) {
        room--;
        seen.said.push(`ran ${id}`);
        proxy.cut();
      },
    });
    await Promise.all([queue.submit(here), queue.submit(back)]);
    assert.deepEqual(await seen.reach(2), [`ran ${here.id}`, `lost ${back.id}`]);
    room = 100;
    proxy.heal();
    await eventually(async () => linkOf(connection).isWhole && (await waiting()) === 0);
    await eventually(async () => (await redis.llen("sp:queue:calls:active")) === 0);
    await seen.worker.close();
    assert.deepEqual(seen.said, [`ran ${here.id}`, `lost ${back.id}`]);
    connection.disconnect();
    proxy.stop();
  });

  it("leaves no connection behind in Redis that would take a job for nobody", async () => {
    const proxy = await CutProxy.start(server);
    const connection = server.connect(through(proxy));
    new Seen(connection);
    await eventually(async () => linkOf(connection).isWhole && (await blocked()).length === 1);
    const [ghost = ""] = await blocked();
    proxy.cut();
    await eventually(async () => connection.status !== "ready");
    proxy.heal();
    await eventually(async () => (await blocked()).some((id) => id !== ghost));
    const ids = (await redis.client("LIST")) as string;
    assert.doesNotMatch(ids, new RegExp(`^id=${ghost} `, "m"));
    await Promise.all(workers.splice(0).map((worker) => worker.close()));
    connection.disconnect();
    proxy.stop();
  });

  it("takes nothing while one of its connections does not answer", async () => {
    const proxy = await CutProxy.start(server);
    const connection = server.connect(through(proxy));
    await new Promise((resolve) => connection.once("ready", resolve));
    // The first one is the root: replies and records go over it.
    const seen = new Seen(connection);
    const link = linkOf(connection);
    await eventually(async () => link.isWhole && (await blocked()).length === 1);
    proxy.cut((index) => index === 0);
    await eventually(async () => !link.isWhole && (await blocked()).length === 0);
    const call = newInvocation();
    await queue.submit(call);
    for (let turns = 0; turns < 200; turns++) {
      await redis.ping();
      await setImmediate();
    }
    assert.deepEqual([seen.said, await waiting()], [[], 1]);
    proxy.heal();
    assert.deepEqual(await seen.reach(1), [`ran ${call.id}`]);
    await seen.worker.close();
    connection.disconnect();
    proxy.stop();
  });
});

/** Ids of the connections that wait for a job. */
async function blocked(): Promise<string[]> {
  const list = (await redis.client("LIST")) as string;
  return [...list.matchAll(/^id=(\d+) .* flags=[A-Z]*b/gm)].map(([, id = ""]) => id);
}
