/** Environments of versions in a worker: when they are outdated, whoever says so or does not. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Redis } from "ioredis";
import type { EgressEntry } from "../../../functions/model/egress-entry.ts";
import { functionConfigSchema } from "../../../functions/model/manifest.ts";
import type { Version } from "../../../functions/model/version.ts";
import { DataKeys } from "../../../functions/store/data-keys.ts";
import { SecretStore } from "../../../functions/store/secrets.ts";
import { Environments } from "../../../worker/code/environments.ts";
import { eventually } from "../../helpers/eventually.ts";
import { masterKeysOf } from "../../helpers/master-keys.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

let server: TestRedis;
let redis: Redis;
let secrets: SecretStore;
let environments: Environments;
let outdated = 0;
const troubles: string[] = [];
before(async () => {
  server = await startRedis();
  redis = server.connect();
  secrets = new SecretStore(redis, new DataKeys(redis, masterKeysOf()));
  const onOutdated = () => void outdated++;
  const onTrouble = (message: string) => void troubles.push(message);
  environments = new Environments({ redis, secrets, onOutdated, onTrouble });
  // From then on it hears of changes.
  await eventually(() => outdated > 0);
});
after(async () => {
  assert.deepEqual(troubles, ["secrets of main/unreadable cannot be opened"]);
  environments.close();
  await server.stop();
});

const scope = (functionName: string | null) => ({ tenant: "main", functionName });

function versionOf(functionName: string, declared?: string[], egress?: EgressEntry[]): Version {
  const env = { CLEAR: "of older days" };
  const config = functionConfigSchema.parse({ name: functionName, env, secrets: declared, egress });
  return {
    ...{ tenant: "main", functionName, version: "a".repeat(64), config, entry: "index.ts", files: [] },
    ...{ bundle: "", sourceMap: "", bundleBytes: 0, createdAtMs: 0 },
  };
}

it("is one for all instances until a secret in it changes", async () => {
  const before = outdated;
  await secrets.set(scope("one"), "SECRET", "first value");
  await eventually(() => outdated > before);
  const first = await environments.of(versionOf("one"));
  assert.deepEqual(first.env, { CLEAR: "of older days", SECRET: "first value" });
  assert.equal(await environments.of(versionOf("one")), first);
  const other = await environments.of(versionOf("other"));
  const named = await environments.of(versionOf("named", []));
  await secrets.set(scope("one"), "SECRET", "second value");
  await eventually(() => first.isOutdated);
  assert.equal((await environments.of(versionOf("one"))).env.SECRET, "second value");
  await secrets.set(scope(null), "SHARED", "value");
  await eventually(() => named.isOutdated);
  assert.equal(other.isOutdated, false);
});

it("is outdated when a secret changed while nobody was told, and not otherwise", async () => {
  for (const name of ["unreadable", "unheard"]) await secrets.set(scope(name), "SECRET", "first value");
  const unreadable = await environments.of(versionOf("unreadable"));
  const [changed, same] = await Promise.all([
    environments.of(versionOf("unheard")),
    environments.of(versionOf("unchanged")),
  ]);
  const before = outdated;
  // The message of the change finds no subscriber.
  await redis
    .multi()
    .call("CLIENT", "KILL", "TYPE", "pubsub")
    .hset("sp:secrets:main:unheard", "SECRET", (await redis.hget("sp:secrets:main:one", "SECRET")) ?? "")
    .hdel("sp:secrets:main:unheard", "SECRET")
    .hset("sp:secrets:main:unreadable", "SECRET", (await redis.hget("sp:secrets:main:one", "SECRET")) ?? "")
    .exec();
  await eventually(() => outdated > before);
  assert.deepEqual([unreadable.isOutdated, changed.isOutdated, same.isOutdated], [true, true, false]);
});

it("that is opened while a secret changes is outdated from the beginning", async (t) => {
  const reading = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const slow: Pick<SecretStore, "open" | "openEnv"> = {
    openEnv: (...given) => secrets.openEnv(...given),
    async open(...given) {
      const opened = await secrets.open(...given);
      reading.resolve();
      await goOn.promise;
      return opened;
    },
  };
  let heard = 0;
  const onOutdated = () => {
    heard += 1;
    if (heard > 1) goOn.resolve();
  };
  const own = new Environments({ redis, secrets: slow, onOutdated, onTrouble: () => {} });
  t.after(() => own.close());
  await eventually(() => heard === 1);
  const opened = own.of(versionOf("racing"));
  await reading.promise;
  await secrets.set(scope("racing"), "SECRET", "value");
  assert.equal((await opened).isOutdated, true);
  assert.equal((await own.of(versionOf("racing"))).env.SECRET, "value");
});

describe("secrets that are injected", () => {
  const egress = (...names: string[]) => {
    const inject = Object.fromEntries(names.map((name, index) => [`x-${index}`, `key {{secrets.${name}}}`]));
    return [{ to: "api.example.com", inject }];
  };

  it("are in what is injected and masked, and in no environment", async () => {
    await secrets.set(scope("inject"), "OWN", "own value");
    await secrets.set(scope("inject"), "OTHER", "other value");
    await secrets.set(scope(null), "TOKEN", "token value");
    const opened = await environments.of(versionOf("inject", undefined, egress("OWN", "TOKEN")));
    assert.deepEqual(
      Object.keys(opened.env).filter((name) => name !== "CLEAR"),
      ["OTHER"],
    );
    assert.deepEqual(opened.injections[0]?.headers, [
      ["x-0", "key own value"],
      ["x-1", "key token value"],
    ]);
    assert.equal(opened.mask?.apply("a token value"), "a [secret]");
  });

  it("outdate the environment when they change, the tenant's as well", async () => {
    await secrets.set(scope(null), "SHARED", "first value");
    const version = versionOf("shares", undefined, egress("SHARED"));
    const opened = await environments.of(version);
    await secrets.set(scope(null), "SHARED", "second value");
    await eventually(() => opened.isOutdated);
    assert.deepEqual((await environments.of(version)).injections[0]?.headers, [["x-0", "key second value"]]);
  });

  it("must be set, and fit a header field", async () => {
    await assert.rejects(environments.of(versionOf("lacks", undefined, egress("LACKS"))), { code: "SECRET_MISSING" });
    await secrets.set(scope("unfit"), "PEM", "two\nlines");
    await assert.rejects(environments.of(versionOf("unfit", undefined, egress("PEM"))), { code: "SECRET_UNFIT" });
  });
});
