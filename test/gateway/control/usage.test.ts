/** Usage, as tenants and operators may see it. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { HOUR_MS, hourOf, noUsage, type UsageCounts } from "../../../functions/model/usage.ts";
import { createKey, createTenant, makeOperatorKey } from "../../../functions/store/tenant.ts";
import { addUsage } from "../../../functions/store/usage.ts";
import { startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { runCommand } from "../../helpers/in-process-cli.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const base = tempDir();
/** The last hour but two, so that the hour may change during the test. */
const HOUR = hourOf(Date.now()) - 2 * HOUR_MS;
const iso = (hourMs: number) => new Date(hourMs).toISOString();
let test: TestGateway;
/** A key of the tenant "other". */
let other: string;
before(async () => {
  test = await startTestGateway();
  await makeOperatorKey(test.connection, test.key.split("_")[1] ?? "");
  await createTenant(test.connection, "other");
  ({ key: other } = await createKey(test.connection, "other"));
  const used = (tenant: string, functionName: string, hourMs: number, counts: Partial<UsageCounts>) => ({
    ...{ tenant, functionName, hourMs },
    counts: { ...noUsage(), ...counts },
  });
  const usage = [
    used("main", "hello", HOUR, { calls: 3, cpuUs: 2_500, memoryMibMs: 1_500, bytesIn: 1, bytesOut: 2_048 }),
    used("main", "hello", HOUR + HOUR_MS, { calls: 1 }),
    used("other", "shop", HOUR, { calls: 5 }),
    used("other", "gone", HOUR, { calls: 7 }),
    used("other", "shop", HOUR - 100 * HOUR_MS, { calls: 9 }),
  ];
  await addUsage(test.connection, "test", { number: 1, usage }, 200 * HOUR_MS);
});
after(() => test.stop());

interface Answer {
  from: string;
  to: string;
  usage: { tenant: string; function: string; hour: string; calls: number }[];
  error: { code: string; message: string };
}
async function ask(query: string, key: string) {
  const response = await fetch(`${test.url}/v1/usage${query}`, { headers: { authorization: `Bearer ${key}` } });
  return { status: response.status, body: (await response.json()) as Answer };
}
const calls = async (query: string, key: string) =>
  (await ask(query, key)).body.usage.map((one) => `${one.tenant}/${one.function} ${one.calls}`);
const cli = (args: string[], key = test.key) =>
  runCommand(["usage", ...args], { cwd: base, env: { SANDPIPER_URL: test.url, SANDPIPER_API_KEY: key } });

it("shows an operator all tenants, and others their own, also of functions that are gone", async () => {
  assert.deepEqual(await calls("", test.key), ["main/hello 3", "other/gone 7", "other/shop 5", "main/hello 1"]);
  assert.deepEqual(await calls("?tenant=other", test.key), ["other/gone 7", "other/shop 5"]);
  assert.deepEqual(await calls("", other), ["other/gone 7", "other/shop 5"]);
  assert.deepEqual(await calls("?tenant=other&function=gone", other), ["other/gone 7"]);
  const [foreign, none] = await Promise.all([ask("?tenant=main", other), ask("?tenant=none", other)]);
  assert.deepEqual([foreign.status, none.status], [404, 404]);
  assert.equal(foreign.body.error.message.replace("main", "none"), none.body.error.message);
});

it("shows the hours that are asked for, whole", async () => {
  const { body } = await ask(`?from=${iso(HOUR + 60_000)}&to=${iso(HOUR + 120_000)}`, test.key);
  assert.deepEqual([body.from, body.to], [iso(HOUR), iso(HOUR + HOUR_MS)]);
  assert.deepEqual(body.usage[0], {
    ...{ tenant: "main", function: "hello", hour: iso(HOUR) },
    ...{ calls: 3, cpuMs: 2.5, memoryMibSeconds: 1.5, bytesIn: 1, bytesOut: 2_048 },
  });
  assert.deepEqual(await calls(`?from=${iso(HOUR - 100 * HOUR_MS)}&to=${iso(HOUR)}`, other), ["other/shop 9"]);
  const wrong = [`?from=${iso(HOUR)}&to=${iso(HOUR)}`, "?from=yesterday", "?from=0", "?tenant=a%2Fb"];
  for (const query of wrong) assert.equal((await ask(query, test.key)).status, 400, query);
});

it("takes a key with the scope read, and shows keys for single functions no more than those", async () => {
  const make = async (body: object) => {
    const headers = { authorization: `Bearer ${other}`, "content-type": "application/json" };
    const made = await fetch(`${test.url}/v1/keys`, { method: "POST", headers, body: JSON.stringify(body) });
    return ((await made.json()) as { key: string }).key;
  };
  const [shop, deploy] = [await make({ scopes: ["read"], functions: ["shop"] }), await make({ scopes: ["deploy"] })];
  assert.deepEqual(await calls("", shop), ["other/shop 5"]);
  assert.equal((await ask("?function=gone", shop)).status, 404);
  assert.equal((await ask("", deploy)).status, 403);
});

it("is printed by the command line, summed up or by the hour", async () => {
  const { stdout } = await cli(["--tenant", "main"]);
  assert.match(stdout, /^TENANT {2}FUNCTION {2}CALLS {2}CPU +MEMORY +IN +OUT\n/);
  assert.match(stdout, /\nmain +hello +4 +0\.003 s +1\.5 MiB s +1 B +2\.0 KiB\n$/);
  const args = ["--from", iso(HOUR - 100 * HOUR_MS), "--to", iso(HOUR), "--json"];
  const found = JSON.parse((await cli(args, other)).stdout) as Answer;
  assert.deepEqual([found.usage.length, found.usage[0]?.calls, found.usage[0]?.function], [1, 9, "shop"]);
  assert.equal((await cli(["--from", "yesterday"])).code, 2);
});

it("goes with its tenant", async () => {
  const headers = { authorization: `Bearer ${test.key}` };
  assert.equal((await fetch(`${test.url}/v1/tenants/other`, { method: "DELETE", headers })).status, 200);
  assert.deepEqual(await test.connection.keys("sp:usage:other:*"), []);
  assert.deepEqual(await calls("", test.key), ["main/hello 3", "main/hello 1"]);
});
