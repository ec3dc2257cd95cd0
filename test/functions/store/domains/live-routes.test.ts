/** Routes are those of what is live, and go with their version. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { Redis } from "ioredis";
import type { Version } from "../../../../functions/model/version.ts";
import { Registry } from "../../../../functions/store/registry.ts";
import { startRedis, type TestRedis } from "../../../helpers/redis.ts";

let server: TestRedis;
let redis: Redis;
let registry: Registry;
before(async () => {
  server = await startRedis();
  redis = server.connect();
  registry = new Registry(redis);
});
after(() => server.stop());

const versionOf = (functionName: string, digit: string, routes?: string[]) =>
  ({ tenant: "main", functionName, version: digit.repeat(64), config: { name: functionName, routes } }) as Version;

it("follows the live version, and leaves nothing behind", async () => {
  const [first, second] = [versionOf("api", "a", ["example.com/api/*"]), versionOf("api", "b")];
  const since = await registry.putVersion(first);
  await registry.putVersion(versionOf("web", "c", ["example.com/x"]));
  assert.deepEqual(await registry.routesOf("main"), {}, "nothing is live");
  await registry.deployFunction(first);
  assert.deepEqual(await registry.routesOf("main"), { api: ["example.com/api/*"] });
  assert.deepEqual(await registry.routesOf("other"), {});
  await registry.putVersion(second);
  await registry.deployFunction(second);
  assert.deepEqual(await registry.routesOf("main"), {});
  assert.equal(typeof since, "number");
  const unusedSinceMs = Number(await redis.hget("sp:versions:main:api", `${first.version}:unusedSinceMs`));
  assert.ok(await registry.removeVersion(first, unusedSinceMs));
  const left = await redis.hkeys("sp:versions:main:api");
  assert.deepEqual(
    left.filter((field) => field.startsWith(first.version)),
    [],
  );
});
