/** Instances that are there before a call is, and that come back when they are gone. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { warmOf } from "../../../functions/store/provisions/warm-states.ts";
import { setQuotas } from "../../../functions/store/quotas.ts";
import { Registry } from "../../../functions/store/registry.ts";
import { createTenant } from "../../../functions/store/tenant.ts";
import { moveTenant } from "../../../functions/store/tenant-states.ts";
import { beat, leave } from "../../../functions/store/workers.ts";
import { eventually } from "../../helpers/eventually.ts";
import { TestWorker } from "../../helpers/worker.ts";

/** Says which instance it is, and ends it when it is asked to. */
const WHO = `
  const id = crypto.randomUUID();
  export default (request) => {
    if (request.url.endsWith("/end")) process.exit(1);
    return new Response(id);
  };`;

let test: TestWorker;
before(async () => {
  test = await TestWorker.start({ SANDPIPER_MAX_SANDBOXES: "12", SANDPIPER_IDLE_MS: "200" });
  await createTenant(test.connection, "other");
});
after(() => test.stop());

const stateOf = async (functionName: string, tenant = "main") =>
  (await warmOf(test.connection, [{ tenant, functionName }]))[0] ?? assert.fail();
/** Resolves when so many of a function's instances are wanted, and there. */
const isReady = (functionName: string, count: number, tenant = "main") =>
  eventually(async () => {
    const { wanted, ready } = await stateOf(functionName, tenant);
    return wanted === count && ready === count;
  });
const free = () => test.worker.facts().pool.free;
/** Removes a function; resolves when nothing is kept any more. */
const remove = async (functionName: string, tenant = "main") => {
  await new Registry(test.connection).deleteFunction({ tenant, functionName });
  await eventually(() => free() === 0);
};

describe("minInstances", () => {
  it("has instances there before the first call, and they stay when nobody calls them", async () => {
    await test.deploy("early", WHO, { minInstances: 2 });
    await isReady("early", 2);
    // Instances of others that nobody calls end after 200 ms.
    await test.deploy("idle", WHO);
    await test.call("idle");
    await eventually(() => free() === 2);
    const answers = await Promise.all([test.call("early"), test.call("early")]);
    assert.deepEqual(
      answers.map(({ start }) => start),
      ["warm", "warm"],
    );
    assert.deepEqual(await stateOf("early"), { wanted: 2, ready: 2, problem: null });
    await remove("early");
  });

  it("has another one there when one has ended", async () => {
    await test.deploy("ending", WHO, { minInstances: 1 });
    await isReady("ending", 1);
    const { text } = await test.call("ending");
    assert.notEqual((await test.call("ending", { path: "/end" })).outcome, "ok");
    await eventually(() => free() === 1);
    const next = await test.call("ending");
    assert.deepEqual([next.start, next.text === text], ["warm", false]);
    await remove("ending");
  });

  it("has instances of a version there as soon as it is live, and those of the last one end", async () => {
    await test.deploy("moving", WHO, { minInstances: 1 });
    await isReady("moving", 1);
    const { text } = await test.call("moving");
    await test.deploy("moving", `${WHO}\n// another version`, { minInstances: 2 });
    await isReady("moving", 2);
    await eventually(() => free() === 2);
    const next = await test.call("moving");
    assert.deepEqual([next.start, next.text === text], ["warm", false]);
    await remove("moving");
  });

  it("keeps none for a tenant that is suspended, and has them again when it is not", async () => {
    await test.deploy("theirs", WHO, { tenant: "other", minInstances: 1 });
    await isReady("theirs", 1, "other");
    await moveTenant(test.connection, "other", "suspended");
    await eventually(() => free() === 0);
    assert.equal((await stateOf("theirs", "other")).wanted, 0);
    await moveTenant(test.connection, "other", "active");
    await isReady("theirs", 1, "other");
    await remove("theirs", "other");
  });

  it("keeps no more for a tenant than it may have, and no more than the operator's part", async () => {
    await test.deploy("many", WHO, { minInstances: 9 });
    // Half of twelve sandboxes.
    await eventually(async () => (await stateOf("many")).ready === 6);
    const { wanted, problem } = await stateOf("many");
    assert.equal(wanted, 9);
    assert.match(String(problem), /SANDPIPER_WARM_PERCENT/);
    await setQuotas(test.connection, "main", { warmInstances: 2 });
    await isReady("many", 2);
    await eventually(() => free() === 2);
    await setQuotas(test.connection, "main", { warmInstances: null });
    await remove("many");
  });

  it("shares with other workers, and has their part when they are gone", async () => {
    const posture = { launcher: "fork", degraded: [] };
    const other = { id: "other", host: "h", pid: 1, startedAtMs: 1, running: 0, room: 12, posture };
    const beats = setInterval(() => void beat(test.connection, other), 500);
    try {
      await beat(test.connection, other);
      await test.deploy("shared", WHO, { minInstances: 4 });
      await isReady("shared", 2);
      clearInterval(beats);
      // The other worker is killed: nobody says that it leaves.
      await isReady("shared", 4);
    } finally {
      clearInterval(beats);
      await leave(test.connection, "other");
    }
    await remove("shared");
  });
});

describe("a version that is to be kept warm", () => {
  const pauses = (name: string) =>
    test.logged
      .map(({ message }) => String(message))
      .filter((message) => message.includes(`main/${name} that is to be kept warm could not be started`))
      .map((message) => /next attempt in (\d+) s/.exec(message)?.[1]);

  it("and cannot be loaded is tried after growing pauses, and keeps no other from being warm", async () => {
    await test.deploy("broken", "throw new Error('not today');", { minInstances: 3 });
    await test.deploy("sound", WHO, { minInstances: 1 });
    await isReady("sound", 1);
    await eventually(() => pauses("broken").length >= 3);
    assert.deepEqual(pauses("broken").slice(0, 3), ["1", "2", "4"]);
    const { wanted, ready, problem } = await stateOf("broken");
    assert.deepEqual([wanted, ready], [3, 0]);
    assert.match(String(problem), /failed while it was loaded/);
    const lines = await test.lastLines("broken");
    assert.ok(
      lines.some((text) => text.includes("not today")),
      lines.join("\n"),
    );
    assert.ok(lines.includes("An instance that is to be kept warm could not be started."), lines.join("\n"));
    assert.ok(!JSON.stringify(test.logged).includes("not today"), "what a tenant's code says is for the tenant");
    await new Registry(test.connection).deleteFunction({ tenant: "main", functionName: "broken" });
    await remove("sound");
  });

  it("and ends soon after it was loaded gets few new instances", async () => {
    const ends = "setTimeout(() => process.exit(1), 20); export default () => new Response('ran');";
    await test.deploy("hasty", ends, { minInstances: 1 });
    await eventually(async () => /end soon/.test(String((await stateOf("hasty")).problem)));
    await remove("hasty");
  });
});
