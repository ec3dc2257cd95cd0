/** A deployment has a worker load its version before it goes live. */
import assert from "node:assert/strict";
import { after, before, beforeEach, it } from "node:test";
import type { BuildResult } from "../../../functions/model/build.ts";
import type { CheckRequest, CheckResult } from "../../../functions/model/check.ts";
import { Registry } from "../../../functions/store/registry.ts";
import { createKey } from "../../../functions/store/tenant.ts";
import { deployment, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

let test: TestGateway;
let registry: Registry;
const GOOD: CheckResult = { ok: true, found: { handler: "lambda (hello)", warnings: ["no queue here"] } };
const BAD: CheckResult = { ok: false, cause: "function", message: "index.ts:1:7: boom" };
let asked: CheckRequest[];
let answer: CheckResult;
before(async () => {
  test = await startTestGateway();
  registry = new Registry(test.connection);
  test.check = async (request) => {
    asked.push(request);
    return answer;
  };
});
after(() => test.stop());
beforeEach(() => {
  asked = [];
  answer = GOOD;
});

type Body = Record<string, unknown> & { error?: { code: string; message: string } };

async function deploy(name: string, config = {}, more = {}): Promise<{ status: number; body: Body }> {
  const response = await test.api(`/v1/functions/${name}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...deployment(name, config), ...more }),
  });
  return { status: response.status, body: (await response.json()) as Body };
}

async function info(name: string): Promise<Body> {
  return (await (await test.api(`/v1/functions/${name}`)).json()) as Body;
}

it("tells what was found, which stays with the version, and asks once for each version", async () => {
  const { status, body } = await deploy("found", { env: { SECRET: "hunter2" } });
  assert.deepEqual([status, body.handler, body.warnings], [201, "lambda (hello)", ["no queue here"]]);
  const { version } = body as { version: string };
  assert.deepEqual(asked, [{ tenant: "main", functionName: "found", version }], "the job holds more than a name");
  const again = await deploy("found", { env: { SECRET: "hunter2" } });
  assert.deepEqual([again.status, again.body.handler, again.body.warnings], [200, "lambda (hello)", ["no queue here"]]);
  assert.equal(asked.length, 1);
  const { handler, warnings } = await info("found");
  assert.deepEqual([handler, warnings], ["lambda (hello)", ["no queue here"]]);
});

it("keeps the bundler's warnings with the version, each cut", async () => {
  const build = test.build;
  test.build = async (request) => ({ ...(await build(request)), warnings: ["w".repeat(5_000)] }) as BuildResult;
  const told = async () => (await deploy("warned")).body.warnings;
  const [first, second] = [await told(), await told()];
  test.build = build;
  assert.deepEqual(first, ["w".repeat(2_000), "no queue here"]);
  assert.deepEqual([second, (await info("warned")).warnings], [first, first]);
});

it("leaves the old version live when the new one does not load, and nothing of the new one", async () => {
  await deploy("kept");
  const before = await info("kept");
  answer = BAD;
  const { status, body } = await deploy("kept", { timeoutMs: 77 });
  assert.deepEqual([status, body.error?.code, body.error?.message], [422, "CHECK_FAILED", "index.ts:1:7: boom"]);
  assert.deepEqual(await info("kept"), before);
  const versions = await registry.keptVersions({ tenant: "main", functionName: "kept" });
  assert.deepEqual(
    versions.map(({ version }) => version),
    [before.version],
  );
});

it("leaves nothing live when a first deployment does not load", async () => {
  answer = BAD;
  assert.equal((await deploy("first")).status, 422);
  assert.equal((await info("first")).error?.code, "FUNCTION_NOT_FOUND");
  assert.deepEqual(await test.connection.keys("sp:*:main:first"), []);
});

it("blames no function for what its machine does, and another attempt may do", async () => {
  answer = { ok: false, cause: "machine", message: "no sandbox" };
  const { status, body } = await deploy("machine");
  assert.deepEqual([status, body.error?.code, body.error?.message], [503, "CHECK_UNAVAILABLE", "no sandbox"]);
  assert.equal((await info("machine")).error?.code, "FUNCTION_NOT_FOUND");
  answer = GOOD;
  assert.equal((await deploy("machine")).status, 201);
});

it("is unavailable when the worker fails", async () => {
  const check = test.check;
  test.check = () => Promise.reject(new Error("a mistake of ours"));
  const { status, body } = await deploy("mistake");
  test.check = check;
  assert.deepEqual([status, body.error?.code], [503, "CHECK_UNAVAILABLE"]);
  assert.doesNotMatch(body.error?.message ?? "", /mistake of ours/);
});

it("is left out on request, and made up for by the next deployment", async () => {
  answer = BAD;
  const unchecked = await deploy("unchecked", {}, { check: false });
  assert.deepEqual([unchecked.status, unchecked.body.handler, asked.length], [201, null, 0]);
  assert.equal((await info("unchecked")).handler, null);
  const before = await info("unchecked");
  assert.equal((await deploy("unchecked")).status, 422);
  assert.deepEqual(await info("unchecked"), before, "what runs was taken away");
  answer = GOOD;
  assert.equal((await deploy("unchecked")).body.handler, "lambda (hello)");
  assert.equal((await info("unchecked")).handler, "lambda (hello)");
});

it("of a tenant waits for the tenant's last one, and no other tenant's does", async () => {
  const { key } = await createKey(test.connection, "patient");
  const [began, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const check = test.check;
  const order: string[] = [];
  test.check = async ({ functionName }) => {
    order.push(functionName);
    began.resolve();
    if (functionName === "one") await released.promise;
    return GOOD;
  };
  const one = deploy("one");
  await began.promise;
  const two = deploy("two");
  const theirs = await test.api("/v1/functions/theirs", {
    method: "PUT",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify(deployment("theirs")),
  });
  released.resolve();
  assert.deepEqual([(await one).status, (await two).status, theirs.status], [201, 201, 201]);
  test.check = check;
  assert.deepEqual(order, ["one", "theirs", "two"]);
});
