import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, it, mock } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Redis } from "ioredis";
import { wholly } from "../../../functions/model/alias.ts";
import type { VersionRef } from "../../../functions/model/invocation.ts";
import {
  type FunctionRef,
  type FunctionState,
  REGISTRY_CHANGES,
  type Registry,
} from "../../../functions/store/registry.ts";
import { CurrentVersions } from "../../../gateway/call/current-versions.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

let redis: TestRedis;
let connection: Redis;
let versions: CurrentVersions;
/** The functions that there are, and how often somebody asked for one. */
const there = new Map<string, FunctionState>();
let reads: number;

const ref = (functionName: string): FunctionRef => ({ tenant: "main", functionName });
/** A function that runs one version. */
function running(functionName: string, version: string, timeoutMs: number): FunctionState {
  const aliases = [{ alias: "live", ...wholly(version), revision: "0" }];
  return { version: { functionName, version, config: { timeoutMs } }, aliases } as unknown as FunctionState;
}
const registry = {
  async getFunction({ functionName }: FunctionRef) {
    reads++;
    return there.get(functionName) ?? null;
  },
  async getVersion({ functionName, version }: VersionRef) {
    return running(functionName, version, 5).version;
  },
  async versionBeginningWith() {
    return null;
  },
} as unknown as Registry;

before(async () => {
  redis = await startRedis();
  connection = redis.connect();
});
after(() => redis.stop());
beforeEach(async () => {
  mock.timers.enable({ apis: ["Date"], now: Date.now() });
  there.set("known", running("known", "1", 5));
  versions = new CurrentVersions(connection, registry);
  // Nothing is remembered before announcements are heard.
  while (versions.get(ref("known")) instanceof Promise) await nextTurn();
  reads = 0;
});
afterEach(() => {
  versions.close();
  mock.timers.reset();
});

it("remembers for a moment that there is no such function", async () => {
  for (let i = 0; i < 5; i++) assert.equal(await versions.get(ref("nothing")), null);
  assert.equal(reads, 1);
  mock.timers.tick(2_000);
  assert.equal(await versions.get(ref("nothing")), null);
  assert.equal(reads, 2);
});

it("forgets that when a function of the name is announced", async () => {
  assert.equal(await versions.get(ref("new")), null);
  there.set("new", running("new", "2", 6));
  await connection.publish(REGISTRY_CHANGES, "main/new");
  while (versions.get(ref("new")) === null) await nextTurn();
  await versions.get(ref("new"));
  assert.deepEqual(versions.get(ref("new")), {
    functionName: "new",
    version: "2",
    timeoutMs: 6,
    keepsPrefix: false,
    access: "public",
    mostAtOnce: 0,
    tally: null,
  });
  there.delete("new");
  await connection.publish(REGISTRY_CHANGES, "main/new");
  while (!(versions.get(ref("new")) instanceof Promise)) await nextTurn();
  await versions.get(ref("new"));
  assert.equal(versions.get(ref("new")), null);
});

it("keeps functions whatever names are made up", async () => {
  for (let i = 0; i < 10_001; i++) await versions.get(ref(`made-up-${i}`));
  reads = 0;
  assert.deepEqual(versions.get(ref("known")), {
    functionName: "known",
    version: "1",
    timeoutMs: 5,
    keepsPrefix: false,
    access: "public",
    mostAtOnce: 0,
    tally: null,
  });
  assert.equal(versions.get(ref("made-up-10000")), null);
  assert.equal(await versions.get(ref("made-up-0")), null);
  assert.equal(reads, 1, "the oldest made way");
});

it("forgets previews with their function, and remembers for a moment that there is none", async () => {
  assert.equal(await versions.get(ref("next--known")), null);
  reads = 0;
  assert.equal(versions.get(ref("next--known")), null);
  const state = running("known", "1", 5);
  const next = { alias: "next", ...wholly("1"), revision: "1" };
  there.set("known", { ...state, aliases: [...state.aliases, next] });
  versions.forget("main/known");
  const found = {
    functionName: "known",
    version: "1",
    timeoutMs: 5,
    keepsPrefix: false,
    access: "public",
    mostAtOnce: 0,
    tally: null,
  };
  assert.deepEqual(await versions.get(ref("next--known")), found);
  reads = 0;
  assert.deepEqual(versions.get(ref("next--known")), found);
  there.set("known", state);
  versions.forget("main/known");
  assert.equal(await versions.get(ref("next--known")), null);
  assert.equal(reads, 1);
});
