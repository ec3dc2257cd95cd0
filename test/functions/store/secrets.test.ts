/** Secrets in a real Redis: who can open what, which keys are needed, and what goes when. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import type { Redis } from "ioredis";
import { functionConfigSchema } from "../../../functions/model/manifest.ts";
import { MAX_SECRETS_OF_SCOPE } from "../../../functions/model/secrets.ts";
import type { Version } from "../../../functions/model/version.ts";
import { SealError } from "../../../functions/secrets/cipher.ts";
import type { MasterKeys } from "../../../functions/secrets/master-keys.ts";
import { DataKeys } from "../../../functions/store/data-keys.ts";
import { takeHold } from "../../../functions/store/holds.ts";
import { Registry } from "../../../functions/store/registry.ts";
import { sealClearVersions } from "../../../functions/store/seal-versions.ts";
import { SecretStore } from "../../../functions/store/secrets.ts";
import { masterKeysOf, newKeyLine } from "../../helpers/master-keys.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

let server: TestRedis;
let redis: Redis;
let masterKeys: MasterKeys;
let secrets: SecretStore;
before(async () => {
  server = await startRedis();
  redis = server.connect();
});
after(() => server.stop());
beforeEach(async () => {
  await redis.flushall();
  masterKeys = masterKeysOf();
  secrets = storeWith(masterKeys);
});

const storeWith = (keys: MasterKeys) => new SecretStore(redis, new DataKeys(redis, keys));
const ref = (functionName = "hello", tenant = "main") => ({ tenant, functionName, version: "a".repeat(64) });
const scope = (functionName: string | null = "hello", tenant = "main") => ({ tenant, functionName });
const opened = async (names: string[] | null = null, of = ref(), store = secrets) =>
  Object.fromEntries((await store.open(of, names)).values);

function versionOf(env: Record<string, string>, functionName = "hello", version = "a".repeat(64)): Version {
  const config = functionConfigSchema.parse({ name: functionName, env });
  return {
    ...{ tenant: "main", functionName, version, config, entry: "index.ts", files: [] },
    ...{ bundle: "b".repeat(64), sourceMap: "c".repeat(64), bundleBytes: 1, createdAtMs: 1 },
  };
}

/** All that is in Redis, as one text. */
async function everything(): Promise<string> {
  const texts: string[] = [];
  for (const key of await redis.keys("*")) {
    const type = await redis.type(key);
    if (type === "hash") texts.push(JSON.stringify(await redis.hgetall(key)));
    else if (type === "string") texts.push((await redis.get(key)) ?? "");
  }
  return texts.join("\n");
}

describe("secrets", () => {
  it("are the function's own, and its tenant's for whoever names them", async () => {
    await secrets.set(scope(), "OWN", "own value");
    await secrets.set(scope(), "BOTH", "of the function");
    await secrets.set(scope(null), "BOTH", "of the tenant");
    await secrets.set(scope(null), "SHARED", "shared value");
    await secrets.set(scope("other"), "OTHER", "of another function");
    await secrets.set(scope("hello", "else"), "ELSE", "of another tenant");
    assert.deepEqual(await opened(), { OWN: "own value", BOTH: "of the function" });
    assert.deepEqual(await opened(["BOTH", "SHARED"]), { BOTH: "of the function", SHARED: "shared value" });
    assert.deepEqual(await opened(["OTHER", "ELSE", "OWN"]), { OWN: "own value" });
    assert.deepEqual(await opened([]), {});
    assert.deepEqual(await opened(["BOTH"], ref("other")), { BOTH: "of the tenant" });
  });

  it("are listed without values, with numbers that never come twice", async () => {
    const { version } = await secrets.set(scope(), "ONE", "1");
    assert.equal(await secrets.delete(scope(), "ONE"), true);
    assert.equal(await secrets.delete(scope(), "ONE"), false);
    const again = await secrets.set(scope(), "ONE", "2");
    assert.ok(again.version > version);
    await secrets.set(scope(null), "TWO", "of the tenant");
    const listed = await secrets.listAll("main");
    assert.deepEqual(
      listed.map(({ name, functionName }) => [name, functionName]),
      [
        ["TWO", null],
        ["ONE", "hello"],
      ],
    );
    assert.ok(!JSON.stringify(listed).includes("value"));
    assert.deepEqual(await secrets.listAll("else"), []);
  });

  it("change their stamp with each change, and with no other", async () => {
    await secrets.set(scope(), "ONE", "1");
    const stamp = async () => (await secrets.open(ref(), null)).stamp;
    const before = await stamp();
    await secrets.set(scope("other"), "ONE", "1");
    assert.equal(await stamp(), before);
    await secrets.set(scope(), "ONE", "1");
    assert.notEqual(await stamp(), before);
  });

  it("of one tenant, function, name or version open in no other's place", async () => {
    await secrets.set(scope(), "NAME", "first value");
    const old = JSON.parse((await redis.hget("sp:secrets:main:hello", "NAME")) ?? "");
    await secrets.set(scope(), "NAME", "second value");
    const current = JSON.parse((await redis.hget("sp:secrets:main:hello", "NAME")) ?? "");
    await secrets.set(scope("hello", "else"), "NAME", "value of another tenant");
    const text = JSON.stringify(current);
    const moves: [what: string, key: string, field: string, text: string, of: ReturnType<typeof ref>][] = [
      ["another tenant's", "sp:secrets:else:hello", "NAME", text, ref("hello", "else")],
      ["another function's", "sp:secrets:main:other", "NAME", text, ref("other")],
      ["another name's", "sp:secrets:main:hello", "OTHER", text, ref()],
      ["the tenant's", "sp:secrets:main", "NAME", text, ref("third")],
      ["an older one", "sp:secrets:main:hello", "NAME", JSON.stringify({ ...old, version: current.version }), ref()],
      [
        "cut off",
        "sp:secrets:main:hello",
        "NAME",
        JSON.stringify({ ...current, sealed: current.sealed.slice(0, -4) }),
        ref(),
      ],
    ];
    for (const [what, key, field, moved, of] of moves) {
      const before = await redis.hget(key, field);
      await redis.hset(key, field, moved);
      await assert.rejects(secrets.open(of, [field]), SealError, what);
      await (before === null ? redis.hdel(key, field) : redis.hset(key, field, before));
    }
    assert.deepEqual(await opened(), { NAME: "second value" });
  });

  it("are so many at most, and say so", async () => {
    for (let index = 0; index < MAX_SECRETS_OF_SCOPE; index++) await secrets.set(scope(), `N${index}`, "x");
    await assert.rejects(secrets.set(scope(), "MORE", "x"), { code: "INVALID_REQUEST" });
    await secrets.set(scope(), "N0", "changed");
    await secrets.set(scope(null), "MORE", "x");
    await redis.sadd("sp:secretscopes:main", ...Array.from({ length: 1_000 }, (_, index) => `f${index}`));
    await assert.rejects(secrets.set(scope("one-more"), "NAME", "x"), { code: "INVALID_REQUEST" });
  });

  it("go when their function is deleted, and stay when a holder lets it go", async () => {
    const registry = new Registry(redis);
    await secrets.set(scope(null), "SHARED", "x");
    for (const holder of ["", "5f0c1b9e-6f2c-4a4e-9f6a-0f5a2f1f0c11"]) {
      await secrets.set(scope(), "NAME", "value");
      if (holder !== "") await takeHold(redis, ref(), holder, 60_000);
      await registry.putVersion(versionOf({}));
      await registry.deployFunction(ref(), holder);
      const changes = server.connect();
      await changes.subscribe("sp:secrets:changes");
      const told: string[] = [];
      changes.on("message", (_channel, message) => told.push(message));
      assert.equal(await registry.deleteFunction(ref(), holder), true);
      await changes.ping();
      assert.deepEqual(await opened(), holder === "" ? {} : { NAME: "value" });
      assert.deepEqual(told, holder === "" ? ["main/hello"] : []);
      changes.disconnect();
    }
    assert.deepEqual(
      (await secrets.listAll("main")).map(({ name }) => name),
      ["SHARED", "NAME"],
    );
  });

  it("and environments are nowhere in Redis in clear", async () => {
    await secrets.set(scope(), "NAME", "canary-of-a-secret");
    const env = { PLAIN: "canary-of-env" };
    const sealed = await secrets.sealEnv(ref(), env);
    const version = versionOf({});
    await new Registry(redis).putVersion({ ...version, ...(sealed && { env: sealed }) });
    const all = await everything();
    for (const value of ["canary-of-a-secret", "canary-of-env"]) {
      for (const form of [value, Buffer.from(value).toString("base64").slice(0, -3)])
        assert.ok(!all.includes(form), form);
    }
    assert.ok(all.includes("PLAIN"));
    const kept = await new Registry(redis).getVersion(ref());
    assert.deepEqual(kept?.env && (await secrets.openEnv(ref(), kept.env)), env);
    assert.deepEqual(kept?.config.env, {});
  });
});

describe("a sealed environment", () => {
  it("opens in its own version only", async () => {
    const sealed = await secrets.sealEnv(ref(), { A: "1" });
    assert.ok(sealed);
    for (const one of [{ ...ref(), version: "d".repeat(64) }, ref("other")]) {
      await assert.rejects(secrets.openEnv(one, sealed), SealError);
    }
    assert.equal(await secrets.sealEnv(ref(), {}), undefined);
  });

  it("has a fingerprint that tells environments and tenants apart, and is the same again", async () => {
    const print = await secrets.fingerprint("main", { A: "1", B: "2" });
    assert.equal(await storeWith(masterKeys).fingerprint("main", { B: "2", A: "1" }), print);
    const others = [
      secrets.fingerprint("main", { A: "1", B: "3" }),
      secrets.fingerprint("main", { A: "1" }),
      secrets.fingerprint("else", { A: "1", B: "2" }),
    ];
    assert.equal(new Set([print, ...(await Promise.all(others))]).size, 4);
  });

  it("takes the place of one that an older Sandpiper left in clear", async () => {
    const registry = new Registry(redis);
    await registry.putVersion(versionOf({ OLD: "canary-in-clear" }));
    await registry.putVersion(versionOf({}, "empty"));
    await registry.deployFunction(ref());
    assert.ok((await everything()).includes("canary-in-clear"));
    assert.equal(await sealClearVersions(redis, registry, secrets), 1);
    assert.equal(await sealClearVersions(redis, registry, secrets), 0);
    assert.ok(!(await everything()).includes("canary-in-clear"));
    const state = await registry.getFunction(ref());
    assert.deepEqual(state?.version.env && (await secrets.openEnv(ref(), state.version.env)), {
      OLD: "canary-in-clear",
    });
  });
});

describe("master keys", () => {
  it("that are not those of this Redis are refused, and nothing is made of them", async () => {
    await new DataKeys(redis, masterKeys).verify();
    await secrets.set(scope(), "NAME", "value");
    const other = masterKeysOf();
    const refused = new RegExp(`master key ${masterKeys.first.id}, and only ${other.first.id} is given`);
    await assert.rejects(new DataKeys(redis, other).verify(), refused);
    await assert.rejects(storeWith(other).open(ref(), null), refused);
    await new DataKeys(redis, masterKeys).verify();
  });

  it("are refused with a canary that was changed", async () => {
    await new DataKeys(redis, masterKeys).verify();
    const [[id, canary] = ["", ""]] = Object.entries(await redis.hgetall("sp:masterkeys"));
    await redis.hset("sp:masterkeys", id, `${canary.slice(0, -2)}AA`);
    await assert.rejects(new DataKeys(redis, masterKeys).verify(), SealError);
  });

  it("that many processes begin with give one data key for each tenant", async () => {
    const stores = Array.from({ length: 8 }, () => storeWith(masterKeys));
    await Promise.all(stores.map((store, index) => store.set(scope(), `N${index}`, `v${index}`)));
    assert.equal(Object.keys(await opened()).length, 8);
    assert.equal(await redis.hlen("sp:datakeys:main"), 2);
  });

  it("are exchanged while others read and write", async () => {
    const [old, fresh] = [newKeyLine(), newKeyLine()];
    const before = storeWith(masterKeysOf(old));
    await new DataKeys(redis, masterKeysOf(old)).verify();
    await before.set(scope(), "NAME", "value");
    await before.set(scope(null, "else"), "NAME", "value");
    const sealed = await before.sealEnv(ref(), { A: "1" });
    assert.ok(sealed);
    const both = new DataKeys(redis, masterKeysOf(fresh, old));
    await both.verify();
    const store = new SecretStore(redis, both);
    let isDone = false;
    const writing = (async () => {
      for (let index = 0; !isDone || index < 20; index++) await store.set(scope(), `W${index % 20}`, `value ${index}`);
    })();
    const reading = (async () => {
      while (!isDone) assert.equal((await opened(["NAME"], ref(), store)).NAME, "value");
    })();
    const done = await both.rewrap();
    isDone = true;
    await Promise.all([writing, reading]);
    assert.deepEqual(done, { masterKey: masterKeysOf(fresh).first.id, tenants: 2, rewrapped: 2 });
    assert.equal((await both.rewrap()).rewrapped, 0);
    const only = new DataKeys(redis, masterKeysOf(fresh));
    await only.verify();
    const after = new SecretStore(redis, only);
    assert.equal((await opened(["NAME"], ref(), after)).NAME, "value");
    assert.deepEqual(await after.openEnv(ref(), sealed), { A: "1" });
    await assert.rejects(new DataKeys(redis, masterKeysOf(old)).verify(), SealError);
    await assert.rejects(before.open(ref(), null), SealError);
  });

  it("that are exchanged leave no data key in use that the old one had sealed", async () => {
    const [old, fresh] = [newKeyLine(), newKeyLine()];
    await storeWith(masterKeysOf(old)).set(scope(), "NAME", "value");
    const current = await redis.hget("sp:datakeys:main", "current");
    await new DataKeys(redis, masterKeysOf(fresh, old)).rewrap();
    assert.notEqual(await redis.hget("sp:datakeys:main", "current"), current);
  });
});
