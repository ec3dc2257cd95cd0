/** Collection of old versions and files, beside deployments and calls that want them. */
import assert from "node:assert/strict";
import { access, mkdir, readdir, readFile, rename, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import type { Redis } from "ioredis";
import type { Version } from "../../../functions/model/version.ts";
import { FileArtifactStore, sha256 } from "../../../functions/store/artifacts.ts";
import { Collector } from "../../../functions/store/gc.ts";
import { CollectionLock } from "../../../functions/store/gc-lock.ts";
import { type CollectionLimits, surplusVersions } from "../../../functions/store/gc-versions.ts";
import { Registry } from "../../../functions/store/registry.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const LONG_MS = 3_600_000;
const REAL = { dryRun: false };
let server: TestRedis;
let redis: Redis;
let registry: Registry;
let dir: string;
let store: FileArtifactStore;
before(async () => {
  server = await startRedis();
  redis = server.connect();
});
after(() => server.stop());
beforeEach(async () => {
  await redis.flushall();
  registry = new Registry(redis);
  dir = tempDir();
  store = new FileArtifactStore(dir);
});

/** One that keeps nothing longer than it must, unless it is told. */
function collector(limits: Partial<CollectionLimits> = {}): Collector {
  const all = { keepVersions: 0, keepVersionsMs: 0, graceMs: 0, ...limits };
  return new Collector({ redis, registry, artifacts: store, limits: all });
}

async function version(functionName: string, text: string, tenant = "main"): Promise<Version> {
  return {
    ...{ tenant, functionName, version: sha256(Buffer.from(text)) },
    config: { name: functionName, entry: "i.ts", memoryMiB: 128, isolation: "instance", timeoutMs: 1_000, env: {} },
    ...{ entry: "i.ts", files: [], bundleBytes: text.length, createdAtMs: 1 },
    bundle: await store.put(Buffer.from(`bundle ${text}`)),
    sourceMap: await store.put(Buffer.from(`map ${text}`)),
  };
}

async function deploy(functionName: string, text: string, tenant?: string): Promise<Version> {
  const deployed = await version(functionName, text, tenant);
  await registry.putVersion(deployed);
  await registry.deployFunction(deployed);
  return deployed;
}

/** Names of all files of the store but the one that says whose it is. */
async function files(): Promise<string[]> {
  const names = await readdir(dir, { recursive: true });
  return names.filter((name) => name.includes("/")).sort();
}
const pathOf = (digest: string, ending = "") => join(dir, digest.slice(0, 2), digest + ending);
const fileOf = (digest: string, ending = "") => `${digest.slice(0, 2)}/${digest}${ending}`;

describe("old versions", () => {
  const kept = (unusedSinceMs: number | null, name: string) => ({
    ...{ version: name, artifacts: [], files: [], isCurrent: unusedSinceMs === null, unusedSinceMs },
  });
  const names = (limits: CollectionLimits) =>
    surplusVersions([kept(700, "a"), kept(null, "now"), kept(900, "b"), kept(100, "c")], limits, 1_000).map(
      (one) => one.version,
    );

  it("go when they are too many or too old, and never before the grace is over", () => {
    assert.deepEqual(names({ keepVersions: 10, keepVersionsMs: 10_000, graceMs: 0 }), []);
    assert.deepEqual(names({ keepVersions: 1, keepVersionsMs: 10_000, graceMs: 0 }), ["a", "c"]);
    assert.deepEqual(names({ keepVersions: 10, keepVersionsMs: 900, graceMs: 0 }), ["c"]);
    assert.deepEqual(names({ keepVersions: 0, keepVersionsMs: 0, graceMs: 300 }), ["a", "c"]);
  });

  it("are removed with all that is known of them, and no tenant's current one is", async () => {
    const old = await deploy("f", "one");
    await registry.noteNoTemplateReason(old, "it has a timer");
    const now = await deploy("f", "two");
    const other = await deploy("f", "three", "other");
    const { versions } = await collector().collect(REAL);
    assert.deepEqual(
      versions.map((one) => [one.tenant, one.functionName, one.version]),
      [["main", "f", old.version]],
    );
    assert.equal(await registry.getVersion(old), null);
    assert.deepEqual(await redis.hkeys("sp:versions:main:f"), [now.version]);
    assert.deepEqual((await registry.getFunction(other))?.version, other);
  });

  it("stay within the grace, counted from when their function ran them last", async () => {
    const [old] = [await deploy("f", "one"), await deploy("f", "two")];
    assert.deepEqual((await collector({ graceMs: LONG_MS }).collect(REAL)).versions, []);
    await deploy("f", "one");
    await deploy("f", "two");
    const since = await redis.hget("sp:versions:main:f", `${old.version}:unusedSinceMs`);
    assert.equal(await registry.removeVersion(old, Number(since) - 1), false, "one that was run again was removed");
    assert.ok(await registry.getVersion(old));
  });

  it("of before anything was noted are counted from the first collection on", async () => {
    const old = await version("f", "one");
    await redis.hset("sp:versions:main:f", old.version, JSON.stringify(old));
    await deploy("f", "two");
    assert.deepEqual((await collector().collect(REAL)).versions, []);
    assert.equal((await collector().collect(REAL)).versions.length, 1);
  });

  it("that were put and never deployed go, whether their function is there or not", async () => {
    const left = [await version("gone", "one"), await version("f", "two")];
    await deploy("f", "three");
    for (const one of left) await registry.putVersion(one);
    assert.equal((await collector({ graceMs: LONG_MS }).collect(REAL)).versions.length, 0);
    assert.equal((await collector().collect(REAL)).versions.length, 2);
    assert.equal(await redis.exists("sp:versions:gone"), 0);
  });

  it("that are deployed while they are collected stay", async () => {
    const [old] = [await deploy("f", "one"), await deploy("f", "two")];
    const [plan] = (await collector().collect({ dryRun: true })).versions;
    await registry.deployFunction(old);
    assert.equal(await registry.removeVersion(old, plan?.unusedSinceMs ?? 0), false);
    assert.deepEqual((await registry.getFunction(old))?.version, old);
  });
});

describe("artefacts", () => {
  it("that no version needs are set aside first, and removed when they waited for long", async () => {
    const now = await deploy("f", "now");
    const sources = await store.put(Buffer.from("sources"));
    await deploy("g", "deleted");
    await registry.deleteFunction({ tenant: "main", functionName: "g" });
    const first = await collector({ graceMs: LONG_MS }).collect(REAL);
    assert.deepEqual([first.setAside.files, first.removed.files], [3, 0]);
    assert.ok((await files()).includes(fileOf(sources, ".removed")));
    const marks = await redis.hgetall("sp:gc:marks");
    const second = await collector({ graceMs: LONG_MS }).collect(REAL);
    assert.deepEqual(await redis.hgetall("sp:gc:marks"), marks, "a file that waits was to wait anew");
    assert.deepEqual([second.setAside.files, second.waiting, second.removed.files], [0, first.setAside, 0]);
    const third = await collector().collect(REAL);
    assert.deepEqual([third.removed, third.waiting.files], [first.setAside, 0]);
    assert.deepEqual(await files(), [fileOf(now.bundle), fileOf(now.sourceMap)].sort());
    assert.equal(await redis.exists("sp:gc:marks"), 0);
  });

  it("that are set aside are had back by whoever asks, and wait anew when nobody does again", async () => {
    const bytes = Buffer.from("wanted");
    const digest = await store.put(bytes);
    const askers = [() => store.get(digest), () => store.has(digest), () => store.put(bytes)];
    for (const ask of askers) {
      await collector({ graceMs: LONG_MS }).collect(REAL);
      assert.deepEqual(await files(), [fileOf(digest, ".removed")]);
      await Promise.all([ask(), ask(), ask()]);
      assert.deepEqual(await files(), [fileOf(digest)]);
    }
    assert.deepEqual(await store.get(digest), bytes);
    await collector().collect(REAL);
    assert.deepEqual(await files(), [fileOf(digest, ".removed")], "one was removed that waited for no time");
  });

  it("come back when a version needs them again", async () => {
    const later = await version("f", "later");
    await collector({ graceMs: LONG_MS }).collect(REAL);
    assert.deepEqual((await files()).length, 2);
    await registry.putVersion(later);
    const { removed } = await collector({ keepVersions: 1, keepVersionsMs: LONG_MS }).collect(REAL);
    assert.equal(removed.files, 0);
    assert.deepEqual(await files(), [fileOf(later.bundle), fileOf(later.sourceMap)].sort());
  });

  it("of a deployment are there after any collection, if it saw them when its version was kept", async () => {
    // Two collectors without any grace run all the time, one of them in each one's way.
    const busy = { on: true };
    const collecting = [0, 1].map(async () => {
      while (busy.on) await collector({ keepVersions: 10, keepVersionsMs: LONG_MS }).collect(REAL).catch(refusedLock);
    });
    for (let round = 0; round < 60; round++) {
      const text = `round ${round % 5}`;
      const deployed = await deployBeside(text);
      assert.equal(String(await store.get(deployed.bundle)), `bundle ${text}`);
      assert.equal(String(await store.get(deployed.sourceMap)), `map ${text}`);
      if (round % 7 === 6) await registry.deleteFunction(deployed);
    }
    busy.on = false;
    await Promise.all(collecting);
  });
});

/** As gateway/control/deploy.ts: what was taken before its version was kept is built again. */
async function deployBeside(text: string): Promise<Version> {
  for (;;) {
    // Without any grace a file is taken while it is written.
    const built = await version("f", text).catch((error: { code?: string }) => {
      assert.equal(error.code, "ENOENT");
      return null;
    });
    if (built === null) continue;
    await registry.putVersion(built);
    if (!((await store.has(built.bundle)) && (await store.has(built.sourceMap)))) continue;
    await registry.deployFunction(built);
    return built;
  }
}

describe("other files", () => {
  it("that are half written or damaged go after the grace, and strange ones never", async () => {
    const { bundle } = await deploy("f", "now");
    const temporary = pathOf(bundle, ".0b5c2c1e-0000-4000-8000-000000000000.tmp");
    await writeFile(temporary, "half");
    // Whatever the file's own time says.
    await utimes(temporary, 1, 1);
    await rename(pathOf(bundle), pathOf(bundle, ".damaged"));
    await writeFile(join(dir, bundle.slice(0, 2), "notes"), "somebody's");
    const count = async (limits?: Partial<CollectionLimits>) => (await collector(limits).collect(REAL)).removed.files;
    assert.equal(await count(), 0, "one was removed that was seen for the first time");
    assert.equal(await count({ graceMs: LONG_MS }), 0);
    assert.equal(await count(), 2);
    assert.deepEqual(
      (await files()).filter((name) => name.startsWith(bundle.slice(0, 2))),
      [`${bundle.slice(0, 2)}/notes`],
    );
  });
});

describe("what is no file of the store", () => {
  it("keeps no collection from its end: files and directories with the names of the store's own", async () => {
    const unused = await store.put(Buffer.from("unused"));
    const here = unused.slice(0, 2);
    const strange = [
      join(dir, here === "00" ? "01" : "00"),
      join(dir, here, `${"a".repeat(64)}.removed`),
      join(dir, here, "b".repeat(64)),
    ];
    await writeFile(strange[0] ?? "", "no directory");
    for (const path of strange.slice(1)) await mkdir(path);
    await symlink("/etc", join(dir, here === "ff" ? "fe" : "ff"));
    for (let round = 0; round < 3; round++) await collector().collect(REAL);
    assert.equal(await store.has(unused), false);
    for (const path of strange) await access(path);
  });
});

describe("a collection", () => {
  it("that is dry changes nothing, and tells what a real one does", async () => {
    await deploy("f", "one");
    await deploy("f", "two");
    await store.put(Buffer.from("sources"));
    const state = async () => [await files(), await redis.hgetall("sp:versions:main:f"), await redis.keys("sp:gc:m*")];
    const before = await state();
    const told = await collector().collect({ dryRun: true });
    assert.deepEqual(await state(), before);
    assert.deepEqual([told.versions.length, told.setAside.files], [1, 3]);
    assert.deepEqual(await collector().collect(REAL), told);
  });

  it("is one at a time, and its lock is lost to another when it stands still", async () => {
    const lock = await CollectionLock.take(redis);
    await assert.rejects(collector().collect(REAL), { code: "GC_RUNNING" });
    await lock?.renew();
    await redis.del("sp:gc:lock");
    const other = await CollectionLock.take(redis);
    await Promise.all([assert.rejects(async () => lock?.renew(), /lock .* was lost/), other?.renew()]);
    await lock?.release();
    await other?.renew();
    await other?.release();
    await collector().collect(REAL);
  });

  it("that lost its lock removes nothing more", async () => {
    await deploy("f", "one");
    await deploy("f", "two");
    class Intruded extends Registry {
      override async *functionsWithVersions() {
        await redis.set("sp:gc:lock", "another's");
        yield* super.functionsWithVersions();
      }
    }
    const limits = { keepVersions: 0, keepVersionsMs: 0, graceMs: 0 };
    const intruded = new Collector({ redis, registry: new Intruded(redis), artifacts: store, limits });
    await assert.rejects(intruded.collect(REAL), /lock .* was lost/);
    assert.equal((await redis.hkeys("sp:versions:main:f")).filter((field) => !field.includes(":")).length, 2);
    assert.equal(await redis.get("sp:gc:lock"), "another's");
  });

  it("takes nothing from a store that another Redis uses, or this one before it lost its data", async () => {
    const digest = await store.put(Buffer.from("another's"));
    await collector({ graceMs: LONG_MS }).collect(REAL);
    await store.has(digest);
    const [first = ""] = (await readdir(dir)).filter((name) => name.startsWith("redis-"));
    await redis.flushall();
    for (const dryRun of [true, false])
      await assert.rejects(
        collector().collect({ dryRun }),
        (error: Error & { code?: string }) =>
          error.code === "ARTIFACT_STORE_MISMATCH" && error.message.includes(`remove ${join(dir, first)}.`),
      );
    assert.deepEqual(await files(), [fileOf(digest)]);
    assert.equal(await readFile(pathOf(digest), "utf8"), "another's");
  });

  it("begins by itself once in a time, whichever gateway looks", async () => {
    const results = await Promise.all([1, 2, 3].map(() => collector().collectWhenDue(LONG_MS)));
    assert.equal(results.filter((result) => result !== null).length, 1);
    await redis.del("sp:gc:turn");
    assert.notEqual(await collector().collectWhenDue(LONG_MS), null);
  });
});

function refusedLock(error: { code?: string }): void {
  assert.equal(error.code, "GC_RUNNING");
}
