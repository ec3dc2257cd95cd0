import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Redis } from "ioredis";
import type { BuildRequest } from "../../../functions/model/build.ts";
import type { Invocation } from "../../../functions/model/invocation.ts";
import { putBody } from "../../../functions/transport/bodies.ts";
import { BuildQueue, BuildWorker } from "../../../functions/transport/build-queue.ts";
import {
  type InvocationHandlers,
  InvocationQueue,
  InvocationWorker,
} from "../../../functions/transport/invocation-queue.ts";
import { newInvocation, startSilentWorker } from "../../helpers/invocations.ts";
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

function startWorker(handlers: Partial<InvocationHandlers>): InvocationWorker {
  const worker = new InvocationWorker(redis, {
    freeSlots: () => 100,
    run: async () => {},
    lost: async () => {},
    ...handlers,
  });
  workers.push(worker);
  worker.start();
  return worker;
}

/** How many calls each of the jobs has that have not been completed, in ascending order. */
async function jobSizes(): Promise<number[]> {
  const jobs = (await redis.keys("sp:queue:calls:*")).filter((key) => /:[0-9a-f-]{36}$/.test(key));
  const data = await Promise.all(jobs.map((key) => redis.hget(key, "data")));
  const sizes = data.map((text) => (JSON.parse(text ?? '{"calls":[]}') as { calls: [] }).calls.length);
  return sizes.filter((size) => size > 0).sort((one, other) => one - other);
}

/** Collects calls, and resolves when there are so many. */
class Collected {
  readonly ids: string[] = [];
  #waiting: { count: number; resolve: () => void }[] = [];

  add(...calls: Invocation[]): void {
    this.ids.push(...calls.map(({ id }) => id));
    for (const { count, resolve } of this.#waiting) if (this.ids.length >= count) resolve();
  }

  async reach(count: number): Promise<string[]> {
    if (this.ids.length < count) await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
    return this.ids;
  }
}

const jobsSoFar = async (): Promise<number> => Number(await redis.get("sp:queue:calls:id"));

/** Resolves when a condition that only Redis knows of has come true. */
async function eventually(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}

function newCalls(count: number): Invocation[] {
  return Array.from({ length: count }, () => newInvocation());
}

const idsOf = (calls: Invocation[]): string[] => calls.map(({ id }) => id);

describe("calls of one moment", () => {
  it("travel in few jobs, and each runs once and whole", async () => {
    const jobsBefore = await jobsSoFar();
    const calls = newCalls(64);
    const ran: Invocation[] = [];
    const all = new Collected();
    startWorker({
      async run(call) {
        ran.push(call);
        all.add(call);
      },
    });
    await Promise.all(calls.map((call) => queue.submit(call)));
    await all.reach(64);
    assert.deepEqual(ran, calls);
    assert.equal((await jobsSoFar()) - jobsBefore, 2);
  });

  it("leave nothing in Redis when they are done", async () => {
    const all = new Collected();
    const worker = startWorker({ run: async (call) => all.add(call) });
    await Promise.all(newCalls(200).map((call) => queue.submit(call)));
    await all.reach(200);
    await worker.close();
    const left = (await redis.keys("sp:queue:calls:*")).filter(
      (key) => !/:(id|meta|events|marker|stalled-check)$/.test(key),
    );
    assert.deepEqual(left, []);
    assert.ok((await redis.xlen("sp:queue:calls:events")) <= 300);
  });
});

describe("a worker without room for all of a job", () => {
  it("takes what it has room for and leaves the rest, in order and before later calls, to others", async () => {
    const calls = newCalls(20);
    const later = newInvocation();
    await Promise.all(calls.map((call) => queue.submit(call)));
    await queue.submit(later);
    const first = new Collected();
    const second = new Collected();
    const release = Promise.withResolvers<void>();
    let room = 5;
    startWorker({
      freeSlots: () => room,
      run(call) {
        room--;
        first.add(call);
        return release.promise;
      },
    });
    await first.reach(5);
    await eventually(async () => isDeepStrictEqual(await jobSizes(), [1, 5, 15]));
    startWorker({ run: async (call) => second.add(call) });
    assert.deepEqual(await second.reach(16), idsOf([...calls.slice(5), later]));
    assert.deepEqual(first.ids, idsOf(calls.slice(0, 5)));
    release.resolve();
  });

  it("takes more as soon as it says that there is room", async () => {
    const seen = new Collected();
    let room = 0;
    const worker = startWorker({
      freeSlots: () => room,
      async run(call) {
        room--;
        seen.add(call);
      },
    });
    const calls = newCalls(3);
    await Promise.all(calls.map((call) => queue.submit(call)));
    assert.deepEqual(seen.ids, []);
    for (const count of [1, 2, 3]) {
      room = 1;
      worker.slotsChanged();
      await seen.reach(count);
    }
    assert.deepEqual(seen.ids, idsOf(calls));
  });
});

describe("a worker whose Redis refuses to give it a job", () => {
  it("asks again after a pause, and has the job when Redis gives it", async () => {
    const [call] = newCalls(1);
    const ran = new Collected();
    const errors: Error[] = [];
    const many = Promise.withResolvers<void>();
    await queue.submit(call as Invocation);
    await redis.config("SET", "maxmemory", "1");
    try {
      startWorker({
        run: async (one) => ran.add(one),
        onError: (error) => {
          if (errors.push(error) === 2) many.resolve();
        },
      });
      await many.promise;
      const [before, beganMs] = [errors.length, performance.now()];
      // As soon as what is to be done now is done; without a pause it would ask hundreds of times.
      for (let turns = 0; turns < 100; turns++) await setImmediate();
      const pauses = 1 + (performance.now() - beganMs) / 100;
      assert.ok(errors.length - before <= pauses, `${errors.length - before} times in ${pauses} pauses`);
      assert.match(errors[0]?.message ?? "", /OOM/);
    } finally {
      await redis.config("SET", "maxmemory", "0");
    }
    assert.deepEqual(await ran.reach(1), idsOf([call as Invocation]));
  });
});

describe("a call that nobody waits for any more", () => {
  it("is not run, its body is dropped, and its gateway is told", async () => {
    const body = await putBody(redis, Buffer.alloc(100_000), 60_000);
    const dead = newInvocation({ expiresAtMs: Date.now() - 1, body });
    const alive = newInvocation();
    const ran = new Collected();
    const expired = new Collected();
    const worker = startWorker({ run: async (call) => ran.add(call), expired: async (calls) => expired.add(...calls) });
    await Promise.all([queue.submit(dead), queue.submit(alive)]);
    assert.deepEqual(await expired.reach(1), [dead.id]);
    assert.deepEqual(await ran.reach(1), [alive.id]);
    await worker.close();
    assert.deepEqual(await redis.keys("sp:body:*"), []);
  });
});

describe("a worker that is killed", () => {
  it("has its calls reported as lost, once, by one that has no room itself", async () => {
    const body = await putBody(redis, Buffer.alloc(100_000), 60_000);
    const calls = [...newCalls(3), newInvocation({ body })];
    const victim = await startSilentWorker(server);
    await Promise.all(calls.map((call) => queue.submit(call)));
    await victim.running(4);
    const lost = new Collected();
    const ran = new Collected();
    const survivor = startWorker({
      freeSlots: () => 0,
      run: async (call) => ran.add(call),
      lost: async (gone) => lost.add(...gone),
    });
    await victim.kill();
    assert.deepEqual(await lost.reach(4), idsOf(calls));
    await survivor.close();
    assert.deepEqual(lost.ids, idsOf(calls));
    assert.deepEqual(ran.ids, []);
    assert.deepEqual(await redis.keys("sp:body:*"), []);
  });

  it("loses only what it had taken of a job", async () => {
    const calls = newCalls(5);
    const victim = await startSilentWorker(server, 2);
    await Promise.all(calls.map((call) => queue.submit(call)));
    const taken = [...(await victim.running(2))];
    const lost = new Collected();
    const ran = new Collected();
    startWorker({ run: async (call) => ran.add(call), lost: async (gone) => lost.add(...gone) });
    await ran.reach(3);
    // It says that these are no longer its own right after it put them back.
    await eventually(async () => isDeepStrictEqual(await jobSizes(), [2]));
    await victim.kill();
    await lost.reach(2);
    assert.deepEqual(lost.ids, taken);
    assert.deepEqual(ran.ids, idsOf(calls.slice(2)));
  });
});

describe("a worker whose lock expired although it lives", () => {
  it("goes on with its calls, runs none twice and reports none as lost", async () => {
    const call = newInvocation();
    const ran = new Collected();
    const lost = new Collected();
    const release = Promise.withResolvers<void>();
    const worker = startWorker({
      run(taken) {
        ran.add(taken);
        return release.promise;
      },
      lost: async (gone) => lost.add(...gone),
    });
    await queue.submit(call);
    await ran.reach(1);
    const [job = ""] = await redis.lrange("sp:queue:calls:active", 0, -1);
    const token = await redis.get(`sp:queue:calls:${job}:lock`);
    // What is left of a lock after Redis was away for longer than it holds.
    await redis.del(`sp:queue:calls:${job}:lock`);
    await eventually(async () => (await redis.hget(`sp:queue:calls:${job}`, "stc")) === "1");
    await eventually(async () => ![null, token].includes(await redis.get(`sp:queue:calls:${job}:lock`)));
    release.resolve();
    await worker.close();
    assert.deepEqual([ran.ids, lost.ids], [[call.id], []]);
    assert.equal(await redis.exists(`sp:queue:calls:${job}`), 0);
  });
});

describe("a job whose lock expired before its end could be said", () => {
  it("is not reported as lost", async () => {
    const call = newInvocation();
    const ran = new Collected();
    const lost = new Collected();
    startWorker({
      async run(taken) {
        const [job] = await redis.lrange("sp:queue:calls:active", 0, -1);
        await redis.del(`sp:queue:calls:${job}:lock`);
        ran.add(taken);
      },
      lost: async (gone) => lost.add(...gone),
    });
    await queue.submit(call);
    await ran.reach(1);
    await eventually(async () => (await redis.llen("sp:queue:calls:active")) === 0);
    assert.deepEqual([ran.ids, lost.ids], [[call.id], []]);
  });
});

describe("closing", () => {
  it("waits for the calls at work and takes no others", async () => {
    const release = Promise.withResolvers<void>();
    const taken = new Collected();
    const other = new Collected();
    const worker = startWorker({
      run(call) {
        taken.add(call);
        return release.promise;
      },
    });
    await queue.submit(newInvocation());
    await taken.reach(1);
    let closed = false;
    const closing = worker.close().then(() => {
      closed = true;
    });
    const late = newInvocation();
    await queue.submit(late);
    startWorker({ run: async (call) => other.add(call) });
    assert.deepEqual(await other.reach(1), [late.id]);
    assert.equal(closed, false);
    release.resolve();
    await closing;
    assert.equal(taken.ids.length, 1);
  });

  it("gives back a job that came in the very moment", async () => {
    const taken = new Collected();
    const other = new Collected();
    const call = newInvocation();
    await queue.submit(call);
    const asked = Promise.withResolvers<void>();
    const worker = startWorker({
      freeSlots() {
        asked.resolve(worker.close());
        return 1;
      },
      run: async (late) => taken.add(late),
    });
    await asked.promise;
    startWorker({ run: async (late) => other.add(late) });
    assert.deepEqual([await other.reach(1), taken.ids], [[call.id], []]);
  });

  it("loses no job that comes while a worker stops waiting for one", async () => {
    const ran = new Collected();
    const calls = newCalls(25);
    const handlers: Partial<InvocationHandlers> = {
      run: async (call) => ran.add(call),
      lost: async (lost) => assert.deepEqual(idsOf(lost), []),
    };
    for (const [round, call] of calls.entries()) {
      const worker = startWorker(handlers);
      await eventually(async () => (await redis.info("clients")).includes("blocked_clients:1"));
      const submitted = queue.submit(call);
      // Closed before, while, and after Redis hands out the job.
      for (let turn = round % 5; turn > 0; turn--) await setImmediate();
      await Promise.all([submitted, worker.close()]);
    }
    startWorker(handlers);
    await ran.reach(calls.length);
    assert.deepEqual(ran.ids.sort(), idsOf(calls).sort());
  });
});

describe("Redis", () => {
  it("that hangs makes a submission fail while it hangs", async () => {
    process.kill(server.pid, "SIGSTOP");
    try {
      await assert.rejects(queue.submit(newInvocation()), { code: "QUEUE_UNAVAILABLE" });
    } finally {
      process.kill(server.pid, "SIGCONT");
    }
  });

  it("that is killed makes submissions fail at once, and all goes on when it is back", async () => {
    const ran = new Collected();
    startWorker({ run: async (call) => ran.add(call) });
    await server.kill();
    await assert.rejects(queue.submit(newInvocation()), { code: "QUEUE_UNAVAILABLE" });
    await eventually(async () => !queue.available);
    await assert.rejects(queue.submit(newInvocation()), { code: "QUEUE_UNAVAILABLE" });
    await server.restart();
    await eventually(async () => queue.available);
    const call = newInvocation();
    await queue.submit(call);
    await eventually(async () => ran.ids.includes(call.id));
  });
});

describe("builds", () => {
  const request: BuildRequest = {
    tenant: "main",
    functionName: "hello",
    sourceDigest: "0".repeat(64),
    entry: "index.ts",
    directory: "",
    included: [],
    external: [],
    nodeEnv: "production",
  };

  it("come back with what the worker made of them, each its own", async () => {
    const builds = new BuildQueue(redis);
    await builds.ready();
    const worker = new BuildWorker(redis, async ({ functionName }) =>
      functionName === "bad"
        ? { ok: false, cause: "sources", message: "index.ts:1:1: no" }
        : { ok: true, bundle: functionName, sourceMap: "", bundleBytes: 1, warnings: ["w"] },
    );
    worker.start();
    const results = await Promise.all(
      ["one", "bad", "two"].map((functionName) => builds.build({ ...request, functionName })),
    );
    assert.deepEqual(results, [
      { ok: true, bundle: "one", sourceMap: "", bundleBytes: 1, warnings: ["w"] },
      { ok: false, cause: "sources", message: "index.ts:1:1: no" },
      { ok: true, bundle: "two", sourceMap: "", bundleBytes: 1, warnings: ["w"] },
    ]);
    await worker.close();
    await builds.close();
  });

  it("fail when the worker does, when there is none, and when Redis goes", async () => {
    const builds = new BuildQueue(redis);
    await builds.ready();
    const worker = new BuildWorker(redis, async () => {
      throw new Error("no disk");
    });
    worker.start();
    await assert.rejects(builds.build(request), { code: "BUILD_UNAVAILABLE" });
    await worker.close();
    await assert.rejects(builds.build(request, 50), { code: "BUILD_UNAVAILABLE" });
    assert.equal(await redis.llen("sp:queue:builds:wait"), 0);
    const waiting = assert.rejects(builds.build(request), { code: "QUEUE_UNAVAILABLE" });
    await eventually(async () => (await redis.llen("sp:queue:builds:wait")) === 1);
    await server.kill();
    await waiting;
    await assert.rejects(builds.build(request), { code: "QUEUE_UNAVAILABLE" });
    await server.restart();
    await builds.close();
  });
});
