/** A gateway whose Redis loses everything while both live. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { createKey } from "../../functions/store/tenant.ts";
import { eventually } from "../helpers/eventually.ts";
import { startTestGateway, type TestGateway } from "../helpers/gateway.ts";
import { startRedis } from "../helpers/redis.ts";
import { tempDir } from "../helpers/temp-dir.ts";

let test: TestGateway;
let firstKey = "";
before(async () => {
  const other = await startRedis();
  ({ key: firstKey } = await createKey(other.connect(), "main"));
  await other.stop();
  const bootstrapKeyFile = join(tempDir(), "api-key");
  await writeFile(bootstrapKeyFile, firstKey);
  test = await startTestGateway({ bootstrapKeyFile });
});
after(() => test.stop());

const whoami = (key: string): Promise<Response> =>
  fetch(`${test.url}/v1/whoami`, { headers: { authorization: `Bearer ${key}` } });

it("answers the calls that wait, forgets what the Redis of before said, keeps the first key, and says so", async () => {
  const taken = Promise.withResolvers<void>();
  const release = Promise.withResolvers<undefined>();
  test.answer = () => {
    taken.resolve();
    return release.promise;
  };
  const call = fetch(`${test.url}/fn/main/hello`);
  await taken.promise;
  assert.equal((await whoami(firstKey)).status, 200);
  await test.connection.flushall();
  const answer = await call;
  const { error } = (await answer.json()) as { error: { code: string } };
  assert.deepEqual([answer.status, error.code], [503, "QUEUE_UNAVAILABLE"]);
  assert.equal((await fetch(`${test.url}/fn/main/hello`)).status, 404);
  await eventually(async () => (await whoami(firstKey)).status === 200);
  assert.equal((await whoami(test.key)).status, 401);
  release.resolve(undefined);
  assert.equal(test.logged.filter((line) => /Redis has gone back in time/.test(line)).length, 1);
});
