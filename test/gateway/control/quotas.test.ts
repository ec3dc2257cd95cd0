/** Limits of tenants and functions: who sets them, and what comes beyond them. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { MinInstances } from "../../../functions/model/provisions/min-instances.ts";
import { setQuotas } from "../../../functions/store/quotas.ts";
import { createKey, makeOperatorKey } from "../../../functions/store/tenant.ts";
import { RateLease } from "../../../gateway/limits/rate-lease.ts";
import { eventually } from "../../helpers/eventually.ts";
import { deployment, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { runCommand } from "../../helpers/in-process-cli.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const base = tempDir();
const NONE = {
  callsPerSecond: null,
  callsInCourse: null,
  functions: null,
  deploysPerHour: null,
  warmInstances: null,
  reservedConcurrency: null,
};
let test: TestGateway;
/** The key of the tenant "other". */
let other: string;
before(async () => {
  test = await startTestGateway();
  ({ key: other } = await createKey(test.connection, "other"));
  await makeOperatorKey(test.connection, test.key.split("_")[1] ?? "");
});
after(() => test.stop());
beforeEach(async () => {
  for (const scope of ["main", "main/hello", "other"]) await setQuotas(test.connection, scope, NONE);
  await test.connection.del("sp:deploys:main", "sp:deploys:other");
});

interface Answer {
  error: { code: string; message: string };
  default: Record<string, number>;
  quotas: { tenant: string; function: string | null; limits: Record<string, number> }[];
}

async function request(method: string, path: string, body?: unknown, key = test.key) {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const response = await fetch(test.url + path, {
    method,
    headers,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const retryAfter = response.headers.get("retry-after");
  return { status: response.status, retryAfter, body: (await response.json()) as Answer };
}
const set = (tenant: string, limits: object, functionName?: string) =>
  request("POST", `/v1/quotas/${tenant}`, { limits, ...(functionName && { function: functionName }) });
const deploy = (name: string, key = test.key) => request("PUT", `/v1/functions/${name}`, deployment(name), key);
const cli = (args: string[], key = test.key) =>
  runCommand(args, { cwd: base, env: { SANDPIPER_URL: test.url, SANDPIPER_API_KEY: key } });

async function call(): Promise<{ status: number; code: string; message: string; retryAfter: string | null }> {
  const response = await fetch(`${test.url}/fn/main/hello/`);
  const text = await response.text();
  const error = response.ok ? { code: "", message: "" } : (JSON.parse(text) as Answer).error;
  return { status: response.status, ...error, retryAfter: response.headers.get("retry-after") };
}

/** Calls until one is refused for that: gateways hear of limits, and of their end, in a second. */
async function refused(reason: RegExp): Promise<Awaited<ReturnType<typeof call>>> {
  let last = await call();
  await eventually(async () => {
    last = await call();
    return reason.test(last.message);
  });
  return last;
}

describe("calls", () => {
  it("beyond a tenant's calls a second are refused, with the limit's name, and go on later", async () => {
    await set("main", { callsPerSecond: 1 });
    const { status, code, retryAfter } = await refused(/^main may have 1 calls a second \(callsPerSecond\)/);
    assert.deepEqual([status, code, retryAfter], [429, "CALL_QUOTA", "1"]);
    await eventually(async () => (await call()).status === 200);
  });

  it("beyond a function's calls a second are refused", async () => {
    await set("main", { callsPerSecond: 1 }, "hello");
    assert.equal((await refused(/^main\/hello may have 1 calls a second/)).status, 429);
  });

  it("beyond a tenant's calls in course are refused until one of them ends", async () => {
    await set("main", { callsInCourse: 1 });
    const { promise: end, resolve } = Promise.withResolvers<void>();
    test.answer = async () => {
      await end;
      return { body: Buffer.from("ran") };
    };
    let heard: Awaited<ReturnType<typeof call>> | null = null;
    const calls: Promise<unknown>[] = [];
    // Calls that come before the gateway hears of the limit are in course.
    await eventually(async () => {
      const isOver = call().then((one) => {
        if (one.message.includes("callsInCourse")) heard ??= one;
      });
      calls.push(isOver);
      await Promise.race([isOver, delay(50)]);
      return heard !== null;
    });
    const { status, code, message } = heard as unknown as Awaited<ReturnType<typeof call>>;
    assert.deepEqual([status, code], [429, "CALL_QUOTA"]);
    assert.match(
      message,
      /^main may have 1 calls that wait or run at once in a gateway \(callsInCourse\), and has \d+/,
    );
    resolve();
    await Promise.all(calls);
    await eventually(async () => (await call()).status === 200);
  });
});

describe("leases of calls", () => {
  it("give no more than was granted and the credit, and ask once at a time", async () => {
    const asked: number[] = [];
    const grants: ((granted: number) => void)[] = [];
    const lease = new RateLease(80, (want) => {
      asked.push(want);
      return new Promise((resolve) => grants.push((granted) => resolve({ granted, nextMs: 60_000 })));
    });
    const take = () => {
      let count = 0;
      while (lease.take()) count++;
      return count;
    };
    assert.equal(take(), 10, "the credit");
    assert.deepEqual(asked, [11], "an eighth, and the call that went");
    grants.shift()?.(11);
    await Promise.resolve().then(() => {});
    assert.equal(take(), 11);
    assert.equal(asked.length, 1, "nothing is asked before there can be more");
  });

  it("of a Redis that does not answer keep nobody from calling for long", async () => {
    const lease = new RateLease(8, () => Promise.reject(new Error("away")));
    assert.ok(lease.take());
    await new Promise((done) => setImmediate(done));
    assert.ok(lease.take());
  });
});

describe("deployments", () => {
  it("beyond a tenant's functions and deployments an hour are refused; others go on", async () => {
    await set("main", { deploysPerHour: 2 });
    await set("other", { functions: 1 });
    assert.equal((await deploy("one", other)).status, 201);
    let functions = 1;
    await eventually(async () => (await deploy(`more${functions++}`, other)).status === 429);
    const { body, retryAfter } = await deploy("last", other);
    assert.deepEqual([body.error.code, retryAfter], ["DEPLOY_QUOTA", "60"]);
    assert.match(body.error.message, /^other may have 1 functions \(functions\), and has \d+\.$/);
    assert.equal((await deploy("one", other)).status, 200, "a function that is there takes no room");
    const statuses = [];
    for (let i = 0; i < 3; i++) statuses.push((await deploy("hello")).status);
    assert.deepEqual(statuses, [200, 200, 429]);
  });
});

describe("instances that are kept warm", () => {
  const keep = (name: string, minInstances: MinInstances) =>
    request("PUT", `/v1/functions/${name}`, deployment(name, { minInstances }), other);

  it("beyond what a tenant may have are refused, and say who has the others", async () => {
    await set("other", { functions: null, warmInstances: 5 });
    let { status, body } = await keep("kept", 6);
    await eventually(async () => {
      ({ status, body } = await keep("kept", 6));
      return status === 429 && body.error.message.includes("warmInstances");
    });
    assert.equal(body.error.code, "DEPLOY_QUOTA");
    const limit = "other may have 5 instances kept warm (warmInstances)";
    assert.equal(body.error.message, `${limit}: kept asks for 6 by minInstances.`);
    assert.ok((await keep("kept", 3)).status < 300);
    assert.equal((await keep("kept", 5)).status, 200, "those that it had do not count beside those that it asks for");
    const refused = await keep("second", 1);
    assert.equal(
      refused.body.error.message,
      `${limit}: second asks for 1 by minInstances, and its other functions have 5.`,
    );
    assert.equal((await keep("second", 0)).status, 201);
    const night = [{ count: 1 }, { count: 6, cron: "0 0 * * *", for: "1m" }, { count: 2 }];
    assert.equal((await keep("kept", night)).body.error.message, `${limit}: kept asks for 6 by minInstances.`);
    assert.equal((await keep("kept", 1001)).status, 400);
    // There is no worker, and it may be any time of the day.
    assert.equal((await keep("kept", [{ count: 1 }, { count: 5, cron: "0 0 * * *", for: "1m" }])).status, 200);
    assert.match(
      (await cli(["info", "kept"], other)).stdout,
      /warm +0 of 0 instances, [15] from \d{4}-\d\d-\d\dT00:0[01]:00/,
    );
  });

  it("and calls that are reserved are counted apart", async () => {
    await set("other", { functions: null, warmInstances: null, reservedConcurrency: 4 });
    const reserve = (reserved: number) =>
      request("PUT", "/v1/functions/reserving", deployment("reserving", { concurrency: { reserved } }), other);
    let answer = await reserve(5);
    await eventually(async () => {
      answer = await reserve(5);
      return answer.status === 429 && answer.body.error.message.includes("reservedConcurrency");
    });
    const limit = "other may have 4 reserved calls at once (reservedConcurrency)";
    assert.equal(answer.body.error.message, `${limit}: reserving asks for 5 by concurrency.reserved.`);
    assert.ok((await reserve(4)).status < 300);
  });
});

describe("quotas", () => {
  it("are set by the operator, and shown to their tenant", async () => {
    const { code, stdout } = await cli(["quota", "set", "other", "callsPerSecond=5", "functions=0"]);
    assert.deepEqual([code, /^other\n {2}callsPerSecond {7}5 calls a second\n {2}functions/m.test(stdout)], [0, true]);
    await cli(["quota", "set", "main", "callsPerSecond=7", "--function", "hello"]);
    const shown = JSON.parse((await cli(["quota", "show", "--json"], other)).stdout) as Answer;
    assert.deepEqual(shown.quotas, [{ tenant: "other", function: null, limits: { callsPerSecond: 5, functions: 0 } }]);
    const all = JSON.parse((await cli(["quota", "show", "--json"])).stdout) as Answer;
    assert.deepEqual(all.quotas.map(({ tenant, function: name }) => `${tenant} ${name}`).sort(), [
      "main hello",
      "other null",
    ]);
    await cli(["quota", "set", "other", "callsPerSecond=default", "functions=default"]);
    assert.deepEqual(JSON.parse((await cli(["quota", "show", "--json"], other)).stdout).quotas, []);
    assert.equal((await cli(["quota", "set", "other", "functions=9"], other)).code, 5);
  });

  it("of functions are shown to keys that see these", async () => {
    await set("main", { callsPerSecond: 5 });
    await set("main", { callsPerSecond: 6 }, "hello");
    await set("main", { callsPerSecond: 7 }, "hidden");
    const wish = { scopes: ["read"], functions: ["hello"] };
    const { key } = (await request("POST", "/v1/keys", wish)).body as unknown as { key: string };
    const { quotas } = (await request("GET", "/v1/quotas", undefined, key)).body;
    const shown = quotas.map(({ tenant, function: name }) => `${tenant} ${name}`);
    assert.deepEqual(shown.sort(), ["main hello", "main null"]);
    await setQuotas(test.connection, "main/hidden", NONE);
  });

  it("that make no sense are refused", async () => {
    const wrong = [{ callsPerSecond: -1 }, { callsPerSecond: 1.5 }, { speed: 1 }, { functions: 1e12 }];
    for (const limits of wrong) assert.equal((await set("main", limits)).status, 400, JSON.stringify(limits));
    assert.equal((await set("main", { functions: 1 }, "hello")).status, 400);
    assert.equal((await set("a%2Fb", { functions: 1 })).status, 400);
    for (const args of [["set"], ["set", "main", "speed=1"], ["set", "main", "functions=many"], ["grow"]])
      assert.equal((await cli(["quota", ...args])).code, 2, args.join(" "));
  });
});
