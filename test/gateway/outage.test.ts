import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { InvocationWorker } from "../../functions/transport/invocation-queue.ts";
import { eventually } from "../helpers/eventually.ts";
import { head, startTestGateway, type TestGateway } from "../helpers/gateway.ts";
import { startSilentWorker } from "../helpers/invocations.ts";

let test: TestGateway;
before(async () => {
  test = await startTestGateway();
});
after(() => test.stop());

const call = (): Promise<Response> => fetch(`${test.url}/fn/main/hello`);

async function codeOf(response: Response): Promise<string> {
  return ((await response.json()) as { error: { code: string } }).error.code;
}

/** Resolves when a call is answered by the function again. */
async function recovered(): Promise<void> {
  for (;;) {
    const response = await call();
    if (response.status === 200) return;
    assert.equal(await codeOf(response), "QUEUE_UNAVAILABLE");
  }
}

describe("when Redis is killed", () => {
  it("every waiting call is answered, streams end, new calls are refused, and all heals by itself", async () => {
    const taken = Promise.withResolvers<void>();
    const streaming = Promise.withResolvers<void>();
    let calls = 0;
    test.answer = ({ id, request }, send) => {
      if (request.path === "/stream") {
        send(head(id, { streaming: true, body: Buffer.from("begun") }));
        streaming.resolve();
      } else if (++calls === 20) taken.resolve();
      return undefined;
    };
    const waiting = Array.from({ length: 20 }, call);
    const stream = await fetch(`${test.url}/fn/main/hello/stream`);
    await Promise.all([taken.promise, streaming.promise]);
    const cut = assert.rejects(stream.text());

    await test.redis.kill();
    for (const response of await Promise.all(waiting)) {
      assert.equal(response.status, 503);
      assert.equal(await codeOf(response), "QUEUE_UNAVAILABLE");
    }
    await cut;
    assert.equal(await codeOf(await call()), "QUEUE_UNAVAILABLE");
    for (const path of ["/v1/whoami", "/v1/functions", "/v1/functions/hello", "/v1/functions/hello/logs"]) {
      const response = await test.api(path);
      assert.deepEqual([response.status, await codeOf(response)], [503, "QUEUE_UNAVAILABLE"], path);
    }
    assert.equal((await fetch(`${test.url}/healthz`)).status, 200);
    assert.deepEqual(await (await fetch(`${test.url}/readyz`)).json(), {
      ready: false,
      workers: 0,
      degraded: [],
      reason: "Redis is not reachable.",
      warnings: [],
    });

    test.answer = () => ({ body: Buffer.from("healed") });
    await test.redis.restart();
    await recovered();
    assert.equal(await (await call()).text(), "healed");
  });

  it("again, with bodies that travel beside their job, nothing stays behind", async () => {
    await recovered();
    const taken = Promise.withResolvers<void>();
    test.answer = () => {
      taken.resolve();
      return undefined;
    };
    const waiting = fetch(`${test.url}/fn/main/hello`, { method: "POST", body: Buffer.alloc(100_000) });
    await taken.promise;
    await test.redis.kill();
    assert.equal(await codeOf(await waiting), "QUEUE_UNAVAILABLE");
    await test.redis.restart();
    test.answer = () => ({});
    await recovered();
    // Nobody took it; it goes by itself.
    for (const key of await test.connection.keys("sp:body:*")) {
      const left = await test.connection.pttl(key);
      assert.ok(left > 0, `${left} ms`);
      await test.connection.del(key);
    }
  });
});

describe("when Redis is stopped, and goes on", () => {
  it("no call runs whose caller was told an error before it could begin", async () => {
    const ran = new Set<string>();
    test.answer = ({ request }) => {
      ran.add(request.path);
      return {};
    };
    await recovered();
    process.kill(test.redis.pid, "SIGSTOP");
    const paths = Array.from({ length: 20 }, (_, index) => `/given-up-${index}`);
    const responses = await Promise.all(paths.map((path) => fetch(`${test.url}/fn/main/hello${path}`)));
    for (const response of responses) {
      assert.deepEqual([response.status, response.headers.get("retry-after")], [503, "1"]);
      const { error } = (await response.json()) as { error: { code: string; message: string } };
      assert.equal(error.code, "QUEUE_UNAVAILABLE");
      assert.match(error.message, /may have run/);
    }
    process.kill(test.redis.pid, "SIGCONT");
    await recovered();
    await eventually(async () => (await test.connection.llen("sp:queue:calls:wait")) === 0);
    await eventually(async () => (await test.connection.llen("sp:queue:calls:active")) === 0);
    assert.deepEqual(
      paths.filter((path) => ran.has(path)),
      [],
    );
  });
});

describe("when a worker is killed", () => {
  it("another answers its calls, and a reply in its middle is cut off", async () => {
    await test.worker.close();
    const victim = await startSilentWorker(test.redis);
    const waiting = Array.from({ length: 5 }, call);
    await victim.running(5);
    const survivor = new InvocationWorker(test.connection, {
      freeSlots: () => 1,
      run: async ({ replyTo, id }) => test.sender.send(replyTo, head(id, { body: Buffer.from("alive") })),
      async lost(calls) {
        const error = { code: "WORKER_LOST", message: "The worker was lost." };
        for (const { replyTo, id } of calls) test.sender.send(replyTo, head(id, { outcome: "platform_error", error }));
      },
    });
    survivor.start();
    await victim.kill();
    for (const response of await Promise.all(waiting)) {
      assert.deepEqual([response.status, await codeOf(response)], [503, "WORKER_LOST"]);
    }
    assert.equal(await (await call()).text(), "alive");
    await survivor.close();
  });
});

it("logs no error of its own in all of this", () => {
  const troubles = test.logged.filter((line) => !line.includes('"level":"info"'));
  assert.deepEqual(troubles, []);
});
