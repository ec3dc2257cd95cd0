/** Canaries that watch themselves: through the control API, real calls, and several gateways. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { after, afterEach, before, it } from "node:test";
import type { Redis } from "ioredis";
import { ALONE_MS } from "../../../functions/model/canary-verdict.ts";
import { FileArtifactStore } from "../../../functions/store/artifacts.ts";
import { Registry } from "../../../functions/store/registry.ts";
import { removeLeftovers } from "../../../functions/store/tenant-deletion.ts";
import { CurrentVersions } from "../../../gateway/call/current-versions.ts";
import { cellOf } from "../../../gateway/call/watch-tallies.ts";
import { CanaryTimer } from "../../../gateway/canary-timer.ts";
import { startGateway } from "../../../gateway/gateway.ts";
import { eventually } from "../../helpers/eventually.ts";
import { deployment, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

const HOUR_MS = 3_600_000;
const TIMING = { queueMs: 1, sandboxMs: 1, initMs: 1, handlerMs: 4 };

let test: TestGateway;
before(async () => {
  test = await startTestGateway();
});
after(() => test.stop());
afterEach(() => {
  test.answer = () => ({});
});

// biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
type Json = any;

async function ask(method: string, path: string, body?: unknown): Promise<{ status: number; body: Json }> {
  const init = body === undefined ? {} : { body: JSON.stringify(body) };
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  const response = await test.api(`/v1/functions/${path}`, { method, headers, ...init });
  const text = await response.text();
  return { status: response.status, body: text === "" ? null : JSON.parse(text) };
}

/** Deploys a version that this number alone tells from others. @returns its digest */
async function deploy(name: string, number: number, more: object = {}): Promise<string> {
  const answer = await ask("PUT", name, { ...deployment(name, { timeoutMs: 1_000 + number }), ...more });
  assert.ok(answer.status < 300, JSON.stringify(answer.body));
  return answer.body.version;
}

/** Deploys a version, and a second one that is watched beside it. */
async function deployBoth(name: string, auto: object): Promise<[base: string, canary: string]> {
  return [await deploy(name, 1), await deploy(name, 2, { canary: { percent: 50, auto } })];
}

async function call(name: string, url = test.url): Promise<void> {
  await (await fetch(`${url}/fn/main/${name}`)).arrayBuffer();
}

async function historyOf(name: string): Promise<Json[]> {
  return (await ask("GET", `${name}/history`)).body.entries;
}

const isDecision = ({ kind }: { kind: string }) => kind.startsWith("auto-");

/** Calls a function until the platform decided. @returns the decision */
async function callUntilDecided(name: string, called = name): Promise<Json> {
  let decision: Json;
  await eventually(async () => {
    await Promise.all(Array.from({ length: 5 }, () => call(called)));
    decision = (await historyOf(name)).find(isDecision);
    return decision !== undefined;
  });
  return decision;
}

/** Has a watch be older by some of its windows, which are an hour, and a look at it be due. */
async function passWindows(name: string, windows: number, alias = "live"): Promise<void> {
  const pass = `
    local watch = cjson.decode(redis.call("HGET", KEYS[1], ARGV[3]))
    watch.startedAtMs = watch.startedAtMs - ARGV[1]
    redis.call("HSET", KEYS[1], ARGV[3], cjson.encode(watch))
    redis.call("ZADD", KEYS[2], "XX", 0, ARGV[2])`;
  const keys = [`sp:function:main:${name}`, "sp:canaries"] as const;
  await test.connection.eval(pass, 2, ...keys, windows * HOUR_MS, `main/${name}/${alias}`, `watch:${alias}`);
}

/** Has a watch be so old that the word of one client alone is heard. */
const passAlone = (name: string, alias = "live") => passWindows(name, ALONE_MS / HOUR_MS, alias);

async function watchOf(name: string): Promise<Json> {
  return JSON.parse((await test.connection.hget(`sp:function:main:${name}`, "watch:live")) ?? "");
}

/** The calls that a watch has counted. */
async function countedOf(name: string): Promise<number> {
  const { base, canary } = await watchOf(name);
  return [...Object.values<Json>(base), ...Object.values<Json>(canary)].reduce((sum, { calls }) => sum + calls, 0);
}

/** Calls a function from an address of loopback. */
async function callFrom(address: string, name: string, headers: Record<string, string> = {}): Promise<void> {
  const request = get(`${test.url}/fn/main/${name}`, { localAddress: address, headers });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  response.resume();
  await once(response, "end");
}

/** Addresses of a watch's clients, of a cell each. */
async function addressesOfCells(name: string, count: number): Promise<string[]> {
  const { cellKey } = await watchOf(name);
  const byCell = new Map<number, string>();
  for (let last = 2; byCell.size < count; last++) byCell.set(cellOf(cellKey, `127.0.0.${last}`), `127.0.0.${last}`);
  return [...byCell.values()];
}

async function routesOf(name: string): Promise<Json> {
  return (await ask("GET", `${name}/aliases/live`)).body.routes;
}

it("takes back a canary of whose calls a fifth fails, long before its window ends", async () => {
  const [base, canary] = await deployBoth("failing", { windowMs: HOUR_MS });
  await passAlone("failing");
  let calls = 0;
  test.answer = ({ version }) => {
    if (version !== canary || calls++ % 5 !== 0) return { timing: TIMING };
    return { outcome: "function_error", error: { code: "FUNCTION_ERROR", message: "no" } };
  };
  const decision = await callUntilDecided("failing");
  assert.deepEqual([decision.kind, decision.by, decision.alias], ["auto-rollback", "sandpiper", "live"]);
  assert.deepEqual(await routesOf("failing"), [{ version: base, percent: 100 }]);
  const { figures } = decision;
  assert.equal(figures.reason, "errors");
  assert.ok(figures.afterMs < HOUR_MS);
  assert.equal(figures.base.errors, 0);
  assert.ok(figures.canary.errors >= 3 && figures.canary.errors < figures.canary.calls / 2, decision.message);
  assert.match(decision.message, /^taken back: more errors .* canary \d+ calls, \d+ errors, p99 4\S* ms, before \d+/);
  assert.deepEqual((await ask("GET", "failing/aliases/live")).body.auto, undefined);
});

it("is not taken back for one client of several, whatever that one claims to be", async () => {
  const [, canary] = await deployBoth("hostile", { windowMs: HOUR_MS, minCalls: 20 });
  const [hostile = "", ...others] = await addressesOfCells("hostile", 4);
  await Promise.all(others.map((address) => callFrom(address, "hostile")));
  await eventually(async () => (await countedOf("hostile")) === 3);
  test.answer = ({ version, request }) => {
    const isBad = request.remoteAddress === hostile && version === canary;
    return {
      status: isBad ? 500 : 200,
      timing: { ...TIMING, handlerMs: request.remoteAddress === hostile ? 9_000 : 4 },
    };
  };
  const claim = (index: number) => ({ "x-forwarded-for": `10.0.0.${index}`, "x-real-ip": `10.0.0.${index}` });
  await Promise.all(Array.from({ length: 60 }, (_, index) => callFrom(hostile, "hostile", claim(index))));
  await eventually(async () => (await countedOf("hostile")) === 63);
  await Promise.all(others.flatMap((address) => Array.from({ length: 40 }, () => callFrom(address, "hostile"))));
  await eventually(async () => (await countedOf("hostile")) === 183);
  assert.equal((await historyOf("hostile")).filter(isDecision).length, 0);
  await passWindows("hostile", 1);
  await eventually(async () => (await historyOf("hostile")).some(isDecision));
  const [{ kind, message, figures }] = await historyOf("hostile");
  assert.equal(kind, "auto-promote", message);
  assert.deepEqual([figures.cells, figures.others.canary.errors], [4, 0]);
  assert.ok(figures.canary.errors > 10 && figures.others.canary.calls >= 20, message);
  assert.match(message, /; without the worst of 4 cells of clients: canary \d+ calls, 0 errors, /);
});

it("is taken back when it fails for all of several clients", async () => {
  const [base, canary] = await deployBoth("broken", { windowMs: HOUR_MS });
  const addresses = await addressesOfCells("broken", 3);
  await Promise.all(addresses.map((address) => callFrom(address, "broken")));
  await eventually(async () => (await countedOf("broken")) === 3);
  test.answer = ({ version }) => ({ status: version === canary ? 500 : 200 });
  await Promise.all(addresses.flatMap((address) => Array.from({ length: 20 }, () => callFrom(address, "broken"))));
  await eventually(async () => (await historyOf("broken")).some(isDecision));
  const [{ kind, figures }] = await historyOf("broken");
  assert.deepEqual([kind, figures.reason], ["auto-rollback", "errors"]);
  assert.ok(figures.others.canary.errors >= 3, JSON.stringify(figures));
  assert.deepEqual(await routesOf("broken"), [{ version: base, percent: 100 }]);
});

it("goes on with a watch from before there were cells, whose counts begin anew", async () => {
  const [, canary] = await deployBoth("older", { windowMs: HOUR_MS, minCalls: 10 });
  const { cellKey: _, ...watch } = await watchOf("older");
  const none = { calls: 0, errors: 0, times: {} };
  const before = JSON.stringify({ ...watch, base: none, canary: { ...none, calls: 5, errors: 5 } });
  await test.connection.hset("sp:function:main:older", "watch:live", before);
  await passWindows("older", 1);
  await eventually(async () => (await watchOf("older")).cellKey !== undefined);
  await test.connection.publish("sp:registry:changes", "main/older");
  assert.equal((await callUntilDecided("older")).kind, "auto-promote");
  assert.deepEqual(await routesOf("older"), [{ version: canary, percent: 100 }]);
});

it("counts an answer of 500 as a failure, and none that the platform or the client is to blame for", async () => {
  const [base, canary] = await deployBoth("caught", { windowMs: HOUR_MS, minCalls: 10 });
  await passAlone("caught");
  const platform = { code: "WORKER_LOST", message: "gone" };
  test.answer = ({ version }) => {
    if (version === base) return { outcome: "platform_error", error: platform };
    return { status: version === canary ? 500 : 200 };
  };
  const { figures } = await callUntilDecided("caught");
  assert.equal(figures.reason, "errors");
  assert.equal(figures.base.calls, 0);
  assert.equal(figures.canary.errors, figures.canary.calls);
});

it("promotes a canary that was no worse, at the end of its window", async () => {
  const [, canary] = await deployBoth("good", { windowMs: HOUR_MS, minCalls: 10 });
  const { auto } = (await ask("GET", "good/aliases/live")).body;
  assert.deepEqual(auto, { windowMs: HOUR_MS, maxErrorPercent: 5, minCalls: 10 });
  test.answer = ({ version }) => ({ timing: { ...TIMING, handlerMs: version === canary ? 5 : 4 } });
  await passWindows("good", 1);
  const decision = await callUntilDecided("good");
  assert.deepEqual([decision.kind, decision.figures.reason], ["auto-promote", "healthy"]);
  assert.ok(decision.figures.afterMs >= HOUR_MS);
  assert.ok(decision.figures.canary.calls >= 10 && decision.figures.base.calls >= 10);
  assert.deepEqual(await routesOf("good"), [{ version: canary, percent: 100 }]);
});

it("takes back a canary that was slower, at the end of its window", async () => {
  const [base, canary] = await deployBoth("slow", { windowMs: HOUR_MS, minCalls: 10 });
  test.answer = ({ version }) => ({ timing: { ...TIMING, handlerMs: version === canary ? 90 : 4 } });
  await passWindows("slow", 1);
  const { kind, figures } = await callUntilDecided("slow");
  assert.deepEqual([kind, figures.reason], ["auto-rollback", "slow"]);
  assert.deepEqual(await routesOf("slow"), [{ version: base, percent: 100 }]);
});

it("takes back a canary that nobody calls, after three windows", async () => {
  const [base] = await deployBoth("idle", { windowMs: HOUR_MS });
  await passWindows("idle", 3);
  await eventually(async () => (await historyOf("idle")).some(isDecision));
  const [decision] = await historyOf("idle");
  assert.deepEqual([decision.kind, decision.figures.reason], ["auto-rollback", "too-few-calls"]);
  assert.deepEqual(await routesOf("idle"), [{ version: base, percent: 100 }]);
});

it("counts the calls of all gateways", async () => {
  const other = await startGateway(test.config, test.connection, test.log);
  try {
    await deployBoth("shared", { windowMs: HOUR_MS, minCalls: 1_000_000 });
    const urls = [test.url, `http://127.0.0.1:${other.port}`];
    await Promise.all(urls.flatMap((url) => Array.from({ length: 20 }, () => call("shared", url))));
    await eventually(async () => (await countedOf("shared")) === 40);
    // One client is in the same cell at each gateway.
    const { base, canary } = await watchOf("shared");
    assert.equal(new Set([...Object.keys(base), ...Object.keys(canary)]).size, 1);
  } finally {
    await other.stop();
  }
});

/** A gateway's timer, with calls of a canary that failed. */
async function failingTimer(name: string, redis: Redis): Promise<{ timer: CanaryTimer; close(): void }> {
  const versions = new CurrentVersions(redis, new Registry(redis));
  const [live] = (await new Registry(redis).getFunction({ tenant: "main", functionName: name }))?.aliases ?? [];
  const watched = { revision: live?.revision ?? "", cellKey: "any" };
  const { canary } = versions.tallies.of({ tenant: "main", functionName: name, alias: "live" }, watched);
  for (let i = 0; i < 10; i++) canary.note({ status: 500, outcome: "function_error", error: null }, "127.0.0.1");
  return { timer: new CanaryTimer(redis, versions, test.log), close: () => versions.close() };
}

it("is decided once by two gateways that judge at the same moment", async () => {
  const [base] = await deployBoth("once", { windowMs: HOUR_MS });
  await passAlone("once");
  const both = await Promise.all([1, 2].map(() => failingTimer("once", test.redis.connect())));
  await Promise.all(both.map(({ timer }) => timer.look()));
  for (const { close } of both) close();
  assert.equal((await historyOf("once")).filter(isDecision).length, 1);
  assert.deepEqual(await routesOf("once"), [{ version: base, percent: 100 }]);
});

it("is over when somebody moves the alias, also while a gateway judges", async () => {
  const [, canary] = await deployBoth("manual", { windowMs: HOUR_MS });
  await passAlone("manual");
  const redis = test.redis.connect();
  const { timer, close } = await failingTimer("manual", redis);
  const count = redis.eval.bind(redis) as (...args: unknown[]) => Promise<unknown>;
  let isMoved = false;
  Object.assign(redis, {
    async eval(...args: unknown[]) {
      const answer = await count(...args);
      if (!isMoved) {
        isMoved = true;
        assert.equal((await ask("POST", "manual/promote", {})).status, 200);
      }
      return answer;
    },
  });
  await timer.look();
  close();
  assert.ok(isMoved);
  assert.deepEqual(await routesOf("manual"), [{ version: canary, percent: 100 }]);
  assert.equal((await historyOf("manual")).filter(isDecision).length, 0);
  assert.equal(await test.connection.hget("sp:function:main:manual", "watch:live"), null);
  assert.equal(await test.connection.zscore("sp:canaries", "main/manual/live"), null);
});

it("begins anew with another deployment of a canary", async () => {
  await deployBoth("anew", { windowMs: HOUR_MS, minCalls: 1_000_000 });
  await Promise.all(Array.from({ length: 5 }, () => call("anew")));
  await eventually(async () => (await countedOf("anew")) === 5);
  const { cellKey } = await watchOf("anew");
  await deploy("anew", 3, { canary: { percent: 50, auto: {} } });
  const { base, canary, ...watch } = await watchOf("anew");
  assert.deepEqual([base, canary], [{}, {}]);
  assert.notEqual(watch.cellKey, cellKey);
});

it("goes with its function", async () => {
  await deployBoth("gone", { windowMs: HOUR_MS });
  assert.ok(await test.connection.zscore("sp:canaries", "main/gone/live"));
  await ask("DELETE", "gone");
  assert.equal(await test.connection.zscore("sp:canaries", "main/gone/live"), null);
  assert.equal((await ask("GET", "gone")).status, 404);
});

it("is forgotten when its function went some other way, and with its tenant", async () => {
  await test.connection.zadd("sp:canaries", 0, "main/lost/live");
  await eventually(async () => (await test.connection.zscore("sp:canaries", "main/lost/live")) === null);
  const later = Date.now() + HOUR_MS;
  await test.connection.zadd("sp:canaries", later, "other/shop/live", later, "other2/shop/live");
  await removeLeftovers({ redis: test.connection, artifacts: new FileArtifactStore(test.artifactsDir) }, "other");
  const left = await test.connection.zrange("sp:canaries", "0", "-1");
  assert.ok(!left.includes("other/shop/live") && left.includes("other2/shop/live"), left.join(" "));
});

it("watches other aliases, and refuses terms that mean nothing", async () => {
  const one = await deploy("staged", 1);
  const two = await deploy("staged", 2);
  const routes = [
    { version: one, percent: 50 },
    { version: two, percent: 50 },
  ];
  const set = (wish: object) => ask("PUT", "staged/aliases/staging", wish);
  assert.deepEqual((await set({ routes, auto: {} })).body.auto, {
    windowMs: 600_000,
    maxErrorPercent: 5,
    minCalls: 50,
  });
  await passAlone("staged", "staging");
  test.answer = ({ version }) => (version === two ? { status: 503 } : {});
  const { figures, alias } = await callUntilDecided("staged", "staging--staged");
  assert.deepEqual([alias, figures.reason], ["staging", "errors"]);
  for (const auto of [{ windowMs: 10 }, { maxErrorPercent: 101 }, { minCalls: 0 }, { other: 1 }]) {
    assert.equal((await set({ routes, auto })).status, 400, JSON.stringify(auto));
  }
  assert.equal((await set({ routes: [{ version: one }], auto: {} })).status, 400);
});
