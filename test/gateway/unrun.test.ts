/** Calls that no worker had, as their gateway records them. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { InvocationRecord } from "../../functions/model/record.ts";
import { startTestGateway, type TestGateway } from "../helpers/gateway.ts";

let test: TestGateway;
before(async () => {
  test = await startTestGateway();
});
after(() => test.stop());

const call = (init: RequestInit = {}, url = `${test.url}/fn/main/hello?secret=1`) => fetch(url, init);

/** The record of a call, once that is there. */
async function recordOf(id: string): Promise<InvocationRecord> {
  for (;;) {
    const response = await test.api(`/v1/invocations/${id}`);
    if (response.ok) return (await response.json()) as InvocationRecord;
    await response.body?.cancel();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

it("are found by their request id, also those that came while Redis was away", async () => {
  await test.redis.kill();
  const refused = await Promise.all(Array.from({ length: 5 }, () => call()));
  const ids = refused.map(({ status, headers }) => [status, headers.get("x-request-id")] as const);
  await test.redis.restart();
  for (const [status, id] of ids) {
    assert.equal(status, 503);
    const record = await recordOf(id ?? "");
    const { outcome, error, ran, functionName, start } = record;
    assert.deepEqual(
      [outcome, error?.code, functionName, start],
      ["platform_error", "QUEUE_UNAVAILABLE", "hello", undefined],
    );
    assert.ok(ran === "no" || ran === "unknown");
    assert.ok(!JSON.stringify(record).includes("secret"));
  }
});

it("are found when Redis refused to write, as soon as it does not", async () => {
  while (!(await call()).ok);
  await test.connection.config("SET", "maxmemory", "1");
  const refused = await call();
  assert.equal(refused.status, 503);
  const id = refused.headers.get("x-request-id") ?? "";
  const writes = async () =>
    /cmdstat_evalsha:.*failed_calls=(\d+)/.exec(await test.connection.info("commandstats"))?.[1];
  const before = await writes();
  while ((await writes()) === before);
  assert.equal((await test.api(`/v1/invocations/${id}`)).status, 404);
  await test.connection.config("SET", "maxmemory", "0");
  assert.equal((await recordOf(id)).error?.code, "QUEUE_UNAVAILABLE");
});

it("whose client left are found; those that a client got wrong have no record", async () => {
  const taken = Promise.withResolvers<string>();
  while (!(await call()).ok);
  test.answer = ({ id }) => {
    taken.resolve(id);
    return undefined;
  };
  // Neither calls of functions that are not there nor those that are no fault of Sandpiper's.
  const none = await call({}, `${test.url}/fn/main/none`);
  const large = await call({ method: "POST", body: Buffer.alloc(2 * 1024 * 1024) });
  assert.deepEqual([none.status, large.status], [404, 413]);
  const leave = new AbortController();
  const left = call({ signal: leave.signal });
  const id = await taken.promise;
  leave.abort();
  await assert.rejects(left);
  const { outcome, error, ran, version } = await recordOf(id);
  assert.deepEqual([outcome, error?.code, ran, version.length], ["cancelled", "CLIENT_GONE", "unknown", 64]);
  for (const { headers } of [none, large]) {
    assert.equal((await test.api(`/v1/invocations/${headers.get("x-request-id")}`)).status, 404);
  }
});
