/** Limits of what waits, is spent and is kept: both sides of each, and another tenant beside it. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { noUsage, type UsageCounts } from "../../../functions/model/usage.ts";
import { TenantSettings } from "../../../functions/store/limits/tenant-settings.ts";
import { setQuotas } from "../../../functions/store/quotas.ts";
import { createKey, makeOperatorKey } from "../../../functions/store/tenant.ts";
import { addUsage } from "../../../functions/store/usage.ts";
import { beat } from "../../../functions/store/workers.ts";
import { GatewayMetrics } from "../../../gateway/metrics.ts";
import { eventually } from "../../helpers/eventually.ts";
import { deployment, NO_QUOTAS, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { runCommand } from "../../helpers/in-process-cli.ts";
import { stretched } from "../../helpers/slowness.ts";

const NONE = Object.fromEntries(Object.keys(NO_QUOTAS).map((name) => [name, null]));
const metrics = new GatewayMetrics(100);
let test: TestGateway;
/** The key of the tenant "other", which has a function "hello", too. */
let other: string;
let batch = 0;
before(async () => {
  test = await startTestGateway({ queueWaitMs: stretched(60_000) }, { metrics });
  ({ key: other } = await createKey(test.connection, "other"));
  await makeOperatorKey(test.connection, test.key.split("_")[1] ?? "");
  assert.equal((await deploy("hello", {}, other)).status, 201);
});
after(() => test.stop());
afterEach(async () => {
  for (const name of [undefined, "hello", "narrow", "kept"]) await set(NONE, name);
});

interface Told {
  code: string;
  message: string;
  quota?: { name: string; limit: number; used: number };
}
interface Used {
  limits: { name: string; function: string | null; limit: number; used: number | null }[];
}

async function request(method: string, path: string, body?: unknown, key = test.key) {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const response = await fetch(test.url + path, {
    method,
    headers,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const json = text === "" ? {} : (JSON.parse(text) as object);
  const retryAfter = Number(response.headers.get("retry-after"));
  return { status: response.status, retryAfter, json, error: (json as { error?: Told }).error };
}
async function set(limits: Record<string, number | null>, functionName?: string): Promise<void> {
  const counted = Object.entries(limits).filter(([name]) => functionName === undefined || OF_FUNCTIONS.includes(name));
  const change = { limits: Object.fromEntries(counted), ...(functionName && { function: functionName }) };
  const { status, json } = await request("POST", "/v1/quotas/main", change);
  assert.equal(status, 200, JSON.stringify(json));
}
const OF_FUNCTIONS = ["callsPerSecond", "callsWaiting", "cpuSecondsPerMinute", "bodyBytesPerDay", "versions"];
const deploy = (name: string, config: object = {}, key = test.key) =>
  request("PUT", `/v1/functions/${name}`, deployment(name, config as never), key);

async function call(path: string) {
  const response = await fetch(`${test.url}/fn/${path}/`);
  const text = await response.text();
  const retryAfter = Number(response.headers.get("retry-after"));
  const error = response.ok ? undefined : (JSON.parse(text) as { error: Told }).error;
  return { status: response.status, retryAfter, error };
}
/** The refusal of a call, which comes when the gateway has looked. */
async function refused(path: string, name: string): Promise<Awaited<ReturnType<typeof call>> & { error: Told }> {
  let last = await call(path);
  await eventually(async () => {
    last = await call(path);
    return last.error?.quota?.name === name;
  });
  return last as typeof last & { error: Told };
}
/** Has a worker tell of what a function of main used now. */
async function spend(functionName: string, counts: Partial<UsageCounts>): Promise<void> {
  const hourMs = Math.floor(Date.now() / 3_600_000) * 3_600_000;
  const usage = [{ tenant: "main", functionName, hourMs, counts: { ...noUsage(), ...counts } }];
  await addUsage(test.connection, "worker", { number: ++batch, usage }, 86_400_000);
}
async function used(name: string, functionName: string | null = null): Promise<number | null | undefined> {
  const { limits } = (await request("GET", "/v1/quotas/main")).json as Used;
  return limits.find((one) => one.name === name && one.function === functionName)?.used;
}
async function refusals(tenant: string, quota: string): Promise<number> {
  const label = `sandpiper_gateway_quota_refusals_total{tenant="${tenant}",quota="${quota}"} `;
  const line = (await metrics.registry.metrics()).split("\n").find((one) => one.startsWith(label));
  return Number(line?.slice(label.length) ?? 0);
}

describe("processor time", () => {
  it("beyond a minute's is paid back before the next call, and the log and the figures tell of it", async () => {
    await set({ cpuSecondsPerMinute: 60 });
    assert.equal((await call("main/hello")).status, 200);
    await eventually(async () => (await test.connection.exists("sp:cpu:main")) === 1);
    await spend("hello", { cpuUs: 20e6 });
    await eventually(async () => Number(await used("cpuSecondsPerMinute")) > 0);
    assert.equal((await call("main/hello")).status, 200, "within the limit");
    await spend("hello", { cpuUs: 600e6 });
    const { status, retryAfter, error } = await refused("main/hello", "cpuSecondsPerMinute");
    assert.deepEqual([status, error.code, error.quota?.limit], [429, "CALL_QUOTA", 60]);
    assert.match(
      error.message,
      /^main may have 60 seconds of processor time a minute \(cpuSecondsPerMinute\), and has \d/,
    );
    assert.ok(Number(error.quota?.used) > 60 && Number(error.quota?.used) <= 620);
    assert.ok(retryAfter >= 1 && retryAfter <= 560);
    assert.equal((await call("other/hello")).status, 200);
    assert.ok((await refusals("main", "cpuSecondsPerMinute")) >= 1);
    assert.equal(await refusals("other", "cpuSecondsPerMinute"), 0);
    await eventually(async () => (await logged("hello", "cpuSecondsPerMinute")) >= 1);
    for (let i = 0; i < 3; i++) assert.equal((await call("main/hello")).status, 429);
    await set({ cpuSecondsPerMinute: 1e6 });
    await eventually(async () => (await call("main/hello")).status === 200);
  });
});

async function logged(functionName: string, name: string): Promise<number> {
  const entries = await test.connection.xrange(`sp:logs:main:${functionName}`, "-", "+");
  return entries.filter(([, [, text = ""]]) => text.includes("Calls are refused") && text.includes(name)).length;
}

describe("bytes of bodies", () => {
  it("beyond a day's of a function refuse its calls, and beyond its tenant's those of all", async () => {
    assert.equal((await deploy("second")).status, 201);
    const before = Number(await used("bodyBytesPerDay"));
    await spend("hello", { bytesIn: 400, bytesOut: 200 });
    await set({ bodyBytesPerDay: 1_000 }, "hello");
    assert.equal((await call("main/hello")).status, 200);
    assert.deepEqual([await used("bodyBytesPerDay"), await used("bodyBytesPerDay", "hello")], [before + 600, 600]);
    await spend("hello", { bytesOut: 400 });
    const { status, retryAfter, error } = await refused("main/hello", "bodyBytesPerDay");
    assert.deepEqual([status, error.code, error.quota?.used], [429, "CALL_QUOTA", 1_000]);
    assert.match(error.message, /^main\/hello may have 1000 bytes of bodies in 24 hours/);
    await eventually(async () => (await logged("hello", "bodyBytesPerDay")) >= 1);
    const [lines, refusedBefore] = [
      await logged("hello", "cpuSecondsPerMinute"),
      await refusals("main", "cpuSecondsPerMinute"),
    ];
    assert.ok(lines < refusedBefore, `${lines} lines of ${refusedBefore} refusals`);
    assert.ok(retryAfter > 22 * 3_600 && retryAfter <= 24 * 3_600, String(retryAfter));
    await set({ bodyBytesPerDay: before + 100_000 });
    assert.equal((await call("main/second")).status, 200);
    await set({ bodyBytesPerDay: before + 500 });
    assert.match((await refused("main/second", "bodyBytesPerDay")).error.message, /^main may have/);
    assert.equal((await call("other/hello")).status, 200);
  });
});

describe("calls that wait", () => {
  const running = new Map<string, () => void>();
  let beats: NodeJS.Timeout;
  before(async () => {
    test.answer = async ({ functionName, id }) => {
      if (functionName !== "narrow") return {};
      const { promise, resolve } = Promise.withResolvers<void>();
      running.set(id, resolve);
      await promise;
      running.delete(id);
      return {};
    };
    const info = { id: "w", host: "h", pid: 1, startedAtMs: 1, running: 0, room: 100 };
    const tell = () => void beat(test.connection, { ...info, posture: { launcher: "fork", degraded: [] } });
    beats = setInterval(tell, 500);
    tell();
    assert.equal((await deploy("narrow", { concurrency: { max: 1 } })).status, 201);
  });
  after(() => clearInterval(beats));

  for (const functionName of [undefined, "narrow"])
    it(`beyond the limit of a ${functionName ? "function" : "tenant"} are refused, and those that wait none do not count`, async () => {
      await set({ callsWaiting: 2 }, functionName);
      const calls = [0, 1, 2].map(() => call("main/narrow"));
      await eventually(async () => running.size === 1 && (await used("callsWaiting")) === 2);
      const { status, error, retryAfter } = await call("main/narrow");
      assert.deepEqual([status, error?.code, retryAfter], [429, "CALL_QUOTA", 1]);
      assert.deepEqual(error?.quota, { name: "callsWaiting", limit: 2, used: 2 });
      assert.equal((await call("main/hello")).status, 200, "it does not wait");
      assert.equal((await call("other/hello")).status, 200);
      let isOver = false;
      const all = Promise.all(calls).finally(() => {
        isOver = true;
      });
      await eventually(() => {
        for (const end of running.values()) end();
        return isOver;
      });
      assert.deepEqual(new Set((await all).map((one) => one.status)), new Set([200]));
    });
});

describe("versions", () => {
  it("beyond the limit make room by age, and are refused while calls may have the old ones", async () => {
    await set({ versions: 2 }, "kept");
    const versionKey = "sp:versions:main:kept";
    const digests = async () => (await test.connection.hkeys(versionKey)).filter((field) => !field.includes(":"));
    assert.equal((await deploy("kept", { timeoutMs: 1_001 })).status, 201);
    const [first = ""] = await digests();
    assert.equal((await deploy("kept", { timeoutMs: 1_002 })).status, 200);
    const { status, error, retryAfter } = await deploy("kept", { timeoutMs: 1_003 });
    assert.deepEqual(
      [status, error?.code, error?.quota],
      [429, "DEPLOY_QUOTA", { name: "versions", limit: 2, used: 2 }],
    );
    assert.match(
      error?.message ?? "",
      /^main\/kept may have 2 versions that are kept \(versions\), and has 2\. Old versions/,
    );
    assert.ok(retryAfter > 0 && retryAfter <= stretched(60_000) / 1_000 + 60);
    assert.equal((await deploy("kept", { timeoutMs: 1_001 })).status, 200, "a version that is there takes no room");
    assert.equal((await deploy("hello", { timeoutMs: 1_003 })).status, 200, "another function");
    const [unused = ""] = (await digests()).filter((digest) => digest !== first);
    await test.connection.hset(versionKey, `${unused}:unusedSinceMs`, 1);
    assert.equal((await deploy("kept", { timeoutMs: 1_003 })).status, 200);
    const left = await digests();
    assert.deepEqual([left.length, left.includes(first), left.includes(unused)], [2, true, false]);
    await set({ versions: 3 });
    assert.equal((await deploy("fresh")).error?.quota?.name, "versions", "the tenant's");
    assert.equal((await deploy("fresh", {}, other)).status, 201);
  });
});

describe("stored bytes", () => {
  it("beyond the limit are refused, of versions and of secrets, and nothing of them is kept", async () => {
    const before = Number(await used("storedBytes"));
    assert.ok(before > 0);
    await set({ storedBytes: before + 10 });
    const big = {
      ...deployment("big"),
      files: [{ path: "index.ts", contentBase64: Buffer.alloc(5_000, "/").toString("base64") }],
    };
    const { status, error } = await request("PUT", "/v1/functions/big", big);
    assert.deepEqual([status, error?.code, error?.quota?.used], [413, "STORAGE_QUOTA", before]);
    assert.match(
      error?.message ?? "",
      /^main may have \d+ stored bytes \(storedBytes\), and has \d+\. The deployment has 5\d{3} more/,
    );
    assert.equal(await used("storedBytes"), before);
    assert.equal((await request("GET", "/v1/functions/big")).status, 404);
    assert.equal((await deploy("hello", { timeoutMs: 4_000 })).status, 200, "the same files");
    assert.equal((await request("PUT", "/v1/functions/big", big, other)).status, 201);
    const put = (name: string, value: string) => request("PUT", `/v1/secrets/${name}`, { value });
    assert.equal((await put("LONG", "x".repeat(11))).error?.code, "STORAGE_QUOTA");
    assert.equal((await put("SHORT", "x".repeat(10))).status, 200);
    assert.equal((await put("MORE", "x")).status, 413);
    assert.equal((await put("SHORT", "y".repeat(10))).status, 200, "in the place of one that is there");
    await set({ storedBytes: 0 });
    assert.equal((await request("PUT", "/v1/functions/big", big)).status, 201);
  });
});

describe("settings of tenants", () => {
  it("are heard of, and read in a while where nothing was said", async () => {
    const [told, slow] = [1e9, 20].map((lookMs) => new TenantSettings(test.connection, NO_QUOTAS, lookMs));
    try {
      await told?.read();
      await eventually(async () => {
        await setQuotas(test.connection, "heard", { functions: 3 });
        return told?.of("heard").own.functions === 3;
      });
      // The first one may have been read when listening began.
      await setQuotas(test.connection, "heard", { functions: 5 });
      await eventually(() => told?.of("heard").own.functions === 5);
      await test.connection.hset("sp:quotas", "unheard functions", 4, "unheard/f callsWaiting", 5, "unheard weight", 7);
      await eventually(() => slow?.of("unheard").own.functions === 4);
      assert.deepEqual(slow?.of("unheard").functions?.get("f"), { callsWaiting: 5 });
      assert.deepEqual([slow?.weightOf("unheard"), slow?.weightOf("heard")], [7, 100]);
    } finally {
      for (const one of [told, slow]) one?.close();
    }
  });

  it("are shown with what is used, in numbers or for people", async () => {
    const cli = (args: string[], key = test.key) =>
      runCommand(["quota", ...args], { cwd: "/", env: { SANDPIPER_URL: test.url, SANDPIPER_API_KEY: key } });
    const { code } = await cli(["set", "other", "storedBytes=2MiB", "callsWaiting=9"]);
    assert.equal(code, 0);
    const { stdout } = await cli(["show", "other"], other);
    assert.match(stdout, /^storedBytes +2\.0 MiB +\S+ \w+ +-$/m);
    assert.match(stdout, /^callsWaiting +9 +0 +-$/m);
    const shown = JSON.parse((await cli(["show", "other", "--json"], other)).stdout) as Used;
    assert.deepEqual(new Set(shown.limits.map(({ name }) => name)), new Set(Object.keys(NO_QUOTAS)));
    assert.equal(shown.limits.find(({ name }) => name === "storedBytes")?.limit, 2 * 1024 * 1024);
    assert.equal((await request("GET", "/v1/quotas/main", undefined, other)).status, 404);
    assert.equal((await cli(["set", "other", "callsWaiting=2MiB"])).code, 2);
    assert.equal((await cli(["set", "other", "storedBytes=99999999GiB"])).code, 2);
  });

  it("have weights, which the operator sets", async () => {
    const cli = (args: string[], key = test.key) =>
      runCommand(["tenant", ...args, "--json"], { cwd: "/", env: { SANDPIPER_URL: test.url, SANDPIPER_API_KEY: key } });
    const weight = async (args: string[], key?: string) =>
      (JSON.parse((await cli(args, key)).stdout) as { weight: number }).weight;
    assert.equal(await weight(["create", "heavy", "--weight", "300"]), 300);
    assert.equal(await weight(["info", "heavy"]), 300);
    assert.equal(await weight(["set", "heavy", "--weight", "1000"]), 1_000);
    assert.equal(await weight(["info", "other"], other), 100);
    const all = JSON.parse((await cli(["list"])).stdout) as { tenant: string; weight: number }[];
    assert.deepEqual(all.find(({ tenant }) => tenant === "heavy")?.weight, 1_000);
    for (const wrong of ["0", "1001", "1.5", "many"])
      assert.equal((await cli(["set", "heavy", "--weight", wrong])).code, 2);
    assert.equal((await cli(["set", "heavy"])).code, 2);
    assert.equal((await cli(["set", "nobody", "--weight", "5"])).code, 6);
    assert.equal((await request("POST", "/v1/tenants/other", { weight: 5 }, other)).status, 403);
    assert.equal((await request("POST", "/v1/tenants/other", { weight: 0 })).status, 400);
  });
});
