/** A backup of large artefacts, straight into the restore of another store. */
import assert from "node:assert/strict";
import { randomFillSync } from "node:crypto";
import { after, before, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { PIECE_BYTES } from "../../../../functions/model/backup/frames.ts";
import type { Version } from "../../../../functions/model/version.ts";
import { FileArtifactStore, sha256 } from "../../../../functions/store/artifacts.ts";
import { openBackup } from "../../../../functions/store/backup/backup.ts";
import { restoreBackup } from "../../../../functions/store/backup/restore.ts";
import { DataKeys } from "../../../../functions/store/data-keys.ts";
import { lockedWork } from "../../../../functions/store/gc-lock.ts";
import { Registry } from "../../../../functions/store/registry.ts";
import { createTenant } from "../../../../functions/store/tenant.ts";
import { MIB } from "../../../../infra/std/bytes.ts";
import { masterKeysOf } from "../../../helpers/master-keys.ts";
import { startRedis, type TestRedis } from "../../../helpers/redis.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const masterKeys = masterKeysOf();
const ARTIFACT_BYTES = 50 * MIB;
/** Pieces between two looks at the memory. */
const LOOK_EVERY = 200;

let servers: TestRedis[];
before(async () => {
  servers = await Promise.all([startRedis(), startRedis()]);
});
after(() => Promise.all(servers.map((server) => server.stop())));

function storesOf(server: TestRedis) {
  const redis = server.connect();
  return { redis, artifacts: new FileArtifactStore(tempDir()), dataKeys: new DataKeys(redis, masterKeys) };
}

/** A function whose bundle and source map are 50 MiB of chance each. */
async function deployLarge({ redis, artifacts }: ReturnType<typeof storesOf>): Promise<Version> {
  const [bundle, sourceMap] = [await artifacts.put(random()), await artifacts.put(random())];
  const config = {
    name: "large",
    entry: "index.ts",
    memoryMiB: 128,
    timeoutMs: 1_000,
    isolation: "instance",
    env: {},
  } as const;
  const version: Version = {
    ...{ tenant: "main", functionName: "large", version: sha256(Buffer.from("large")), config, entry: "index.ts" },
    ...{ files: [], bundle, sourceMap, bundleBytes: ARTIFACT_BYTES, createdAtMs: 1 },
  };
  await createTenant(redis, "main");
  const registry = new Registry(redis);
  await registry.putVersion(version);
  await registry.deployFunction(version);
  return version;
}

const random = () => randomFillSync(Buffer.alloc(ARTIFACT_BYTES));

/** Bytes of buffers that somebody holds. */
function heldBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().arrayBuffers;
}

it("holds a few pieces of it in memory, and no artefact", async () => {
  const [from, to] = servers.map(storesOf) as [ReturnType<typeof storesOf>, ReturnType<typeof storesOf>];
  const { bundle, sourceMap } = await deployLarge(from);
  const before = heldBytes();
  let [pieces, largest, most] = [0, 0, 0];
  async function* passed() {
    for await (const piece of await openBackup(from)) {
      if (++pieces % LOOK_EVERY === 0) most = Math.max(most, heldBytes() - before);
      largest = Math.max(largest, piece.length);
      yield piece;
    }
  }
  await restoreBackup(to, passed, { replace: false, withoutSecrets: false });
  assert.ok(pieces > (2 * 2 * ARTIFACT_BYTES) / PIECE_BYTES, `${pieces} pieces`);
  assert.ok(largest < PIECE_BYTES + 100, `${largest} bytes`);
  assert.ok(most < ARTIFACT_BYTES / 2, `${most} bytes were held`);
  assert.deepEqual(
    [await to.artifacts.size(bundle), await to.artifacts.size(sourceMap)],
    [ARTIFACT_BYTES, ARTIFACT_BYTES],
  );
  assert.equal(await lockedWork(from.redis), null);
});

it("gives its lock back when its reader leaves", async () => {
  const [from] = servers.map(storesOf) as [ReturnType<typeof storesOf>];
  const pieces = await openBackup(from);
  await pieces.next();
  assert.equal(await lockedWork(from.redis), "backup");
  await assert.rejects(openBackup(from), { code: "BACKUP_RUNNING" });
  await pieces.return(undefined);
  assert.equal(await lockedWork(from.redis), null);
});

it("leaves out an old version whose artefact is gone, and says what a live one lacks", async () => {
  const [from, to] = servers.map(storesOf) as [ReturnType<typeof storesOf>, ReturnType<typeof storesOf>];
  const registry = new Registry(from.redis);
  const ref = { tenant: "main", functionName: "large" };
  const state = await registry.getFunction(ref);
  assert.ok(state);
  const old = { ...state.version, version: sha256(Buffer.from("old")), bundle: sha256(Buffer.from("gone")) };
  await registry.putVersion(old);
  // The store is another one, which has nothing.
  const summary = await restoreBackup(to, () => lazily(from), { replace: true, withoutSecrets: false });
  assert.deepEqual([summary.versions, summary.missing, summary.artifacts], [1, 2, 0]);
  assert.deepEqual(
    Object.keys(await to.redis.hgetall("sp:versions:main:large")).filter((field) => !field.includes(":")),
    [state.version.version],
  );
});

async function* lazily(from: ReturnType<typeof storesOf>) {
  yield* await openBackup(from);
}
