/** Calls that are sent to an instance ahead of their turn. */
import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { describe, it, mock } from "node:test";
import { MAX_CALLS_IN_LINE } from "../../../sandbox-core/protocol/frames.ts";
import type { Start } from "../../../worker/pool/instance-lease.ts";
import type { Lease } from "../../../worker/pool/lease.ts";
import { begin, beginAt, callText, type FunctionOptions, poolOpener, type TestPool } from "../../helpers/pool.ts";
import { stretched } from "../../helpers/slowness.ts";

const open = poolOpener();

const ENOUGH_INSTANCES = Math.max(2, availableParallelism());
/** Calls until the pool has learned that a version's calls are short. */
const LESSONS = 60;

/** Long enough for calls behind to be asked back. */
const LONG_MS = stretched(400);

/** Answers with who it is; "/wait" takes long, "/exit" ends the process. */
const CODE = `
  const id = crypto.randomUUID();
  export default async ({ url }) => {
    if (url.endsWith("/wait")) await new Promise((resolve) => setTimeout(resolve, ${LONG_MS}));
    if (url.endsWith("/exit")) process.exit(3);
    if (url.endsWith("/block")) for (const end = Date.now() + ${LONG_MS}; Date.now() < end; );
    return new Response(id);
  };`;

/** Does something for which no time passes in the pool: a slow machine makes no call a long one. */
async function inNoTime<Result>(work: () => Promise<Result>): Promise<Result> {
  const nowMs = performance.now();
  const clock = mock.method(performance, "now", () => nowMs);
  try {
    return await work();
  } finally {
    clock.mock.restore();
  }
}

/** Does something that no timer of the pool interrupts: no call behind another is asked back. */
async function withoutTimers<Result>(work: () => Promise<Result>): Promise<Result> {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    return await work();
  } finally {
    mock.timers.reset();
  }
}

/**
 * A pool that knows the function's calls for short ones, and leases of all instances that it wants
 * of it.
 */
async function busyPool(settings: ConstructorParameters<typeof TestPool>[0] = {}) {
  const pool = open(settings);
  const acquire = (options: FunctionOptions = {}) => pool.acquire({ code: CODE, mayShare: true, ...options });
  const leases = await Promise.all(Array.from({ length: ENOUGH_INSTANCES }, () => acquire({ mayShare: false })));
  for (const lease of leases) lease.release();
  await inNoTime(async () => {
    for (let call = 0; call < LESSONS; call++) {
      const lease = await acquire();
      await callText(lease);
      lease.release();
    }
  });
  return { pool, acquire };
}

/**
 * Leases of which each of the first has an instance for itself and each of the others stands behind
 * one of them.
 */
async function linedUp(acquire: () => Promise<Lease>, behind: number) {
  const first = await Promise.all(Array.from({ length: ENOUGH_INSTANCES }, acquire));
  const others = await Promise.all(Array.from({ length: behind }, acquire));
  assert.equal(new Set([...first, ...others].map(({ instance }) => instance)).size, ENOUGH_INSTANCES);
  return { first, others };
}

describe("calls in line at an instance", () => {
  it("are sent ahead when calls are short, and are answered each by its instance", async () => {
    const { acquire } = await busyPool();
    const { first, others } = await linedUp(acquire, 3 * ENOUGH_INSTANCES);
    const leases = [...first, ...others];
    const answers = await withoutTimers(() => Promise.all(leases.map((lease) => callText(lease))));
    const pairs = leases.map(({ instance }, index) => `${instance.sandbox.pid} ${answers[index]}`);
    assert.equal(new Set(pairs).size, ENOUGH_INSTANCES);
    assert.equal(new Set(answers).size, ENOUGH_INSTANCES);
    for (const lease of [...first, ...others]) lease.release();
  });

  it("are spread over the instances", async () => {
    const { acquire } = await busyPool();
    const { first, others } = await linedUp(acquire, ENOUGH_INSTANCES);
    assert.equal(new Set(others.map(({ instance }) => instance)).size, ENOUGH_INSTANCES);
    for (const lease of [...first, ...others]) lease.release();
  });

  it("share what their instance used since the calls before them", async () => {
    const { acquire } = await busyPool();
    const { first, others } = await linedUp(acquire, 3 * ENOUGH_INSTANCES);
    const leases = [...first, ...others];
    const instances = [...new Set(leases.map(({ instance }) => instance))];
    const sum = (figures: number[]) => figures.reduce((total, figure) => total + figure, 0);
    const before = sum(instances.map((instance) => instance.sandbox.usage().cpuMs - instance.usage().cpuMs));
    const shares = await withoutTimers(() => Promise.all(leases.map(async (lease) => (await begin(lease)).idle)));
    const figures = shares.map(({ cpuMs }) => cpuMs);
    assert.ok(sum(figures) > 0);
    const after = sum(instances.map(({ sandbox }) => sandbox.usage().cpuMs));
    assert.ok(sum(figures) <= after - before + 0.01 * leases.length);
    for (const lease of leases) lease.release();
  });

  it("go to another instance when theirs ends before their turn, and only the one that ran fails", async () => {
    const { acquire } = await busyPool();
    const starts: string[] = [];
    const onExchanged = ({ kind }: Start) => void starts.push(kind);
    const { first, others } = await linedUp(() => acquire({ onExchanged }), ENOUGH_INSTANCES);
    const ended = first.map(({ instance }) => instance);
    const failed = first.map((lease) => begin(lease, "/exit"));
    const behind = others.map((lease) => callText(lease));
    await Promise.all(failed.map((call) => assert.rejects(call, { code: "FUNCTION_EXITED" })));
    for (const lease of first) lease.release();
    for (const [index, text] of (await Promise.all(behind)).entries()) {
      assert.match(text, /^[0-9a-f-]{36}$/);
      assert.ok(!ended.includes((others[index] as Lease).instance));
    }
    assert.ok(starts.includes("cold"));
    assert.ok(starts.length >= others.length);
    for (const lease of others) lease.release();
  });

  for (const path of ["/wait", "/block"]) {
    it(`come back from behind a call that takes long (${path})`, async () => {
      const { acquire } = await busyPool();
      const { first, others } = await linedUp(acquire, ENOUGH_INSTANCES);
      const long = first.map((lease) => callText(lease, path));
      const behind = others.map((lease) => beginAt(lease)?.replied);
      for (const end of await Promise.all(behind)) assert.deepEqual(end, { begun: false, death: null });
      for (const lease of others) lease.release();
      await Promise.all(long);
      for (const lease of first) {
        assert.ok(lease.instance.isIdle);
        lease.release();
      }
    });
  }

  it("are never behind a call that wants an instance to itself", async () => {
    const { acquire } = await busyPool();
    const alone = await Promise.all(Array.from({ length: ENOUGH_INSTANCES }, () => acquire({ mayShare: false })));
    const other = await acquire();
    assert.ok(!alone.some(({ instance }) => instance === other.instance));
    for (const lease of [...alone, other]) lease.release();
  });

  it("are no more than an instance takes", async () => {
    const { acquire } = await busyPool();
    const lease = await acquire();
    for (let count = 0; count < MAX_CALLS_IN_LINE; count++) {
      assert.ok(lease.instance.takesCalls);
      assert.notEqual(beginAt(lease, "/wait"), null);
    }
    assert.ok(!lease.instance.takesCalls);
    assert.equal(beginAt(lease), null);
  });

  it("do not keep an instance for ever from a version that needs its place", async () => {
    const { acquire } = await busyPool({ maxSandboxes: ENOUGH_INSTANCES });
    const { first } = await linedUp(acquire, 0);
    const other = acquire({ name: "other" });
    const late = acquire();
    for (const lease of first) lease.release();
    (await other).release();
    (await late).release();
  });
});
