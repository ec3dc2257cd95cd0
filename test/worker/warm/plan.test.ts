/** Which instances each worker keeps. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fitting, type Keeper, partOf, type Wanted, wantedOf } from "../../../worker/warm/plan.ts";

const shop = { tenant: "main", functionName: "shop", version: "1", memoryMiB: 128, count: 5 };
const fleet = (...sizes: number[]): Keeper[] => sizes.map((size, index) => ({ id: `worker-${index}`, size }));
const parts = (wanted: Wanted, keepers: Keeper[]) => keepers.map(({ id }) => partOf(wanted, keepers, id));
const sum = (counts: number[]) => counts.reduce((total, count) => total + count, 0);

describe("the parts of workers", () => {
  it("are all of it together, equal but for one, and in whatever order a worker sees the others", () => {
    for (const count of [3, 5, 7, 100]) {
      const [keepers, wanted] = [fleet(8, 8, 8), { ...shop, count }];
      const counts = parts(wanted, keepers);
      assert.equal(sum(counts), count);
      assert.ok(Math.max(...counts) - Math.min(...counts) <= 1);
      const turned = [...keepers].reverse();
      assert.deepEqual(
        counts,
        keepers.map(({ id }) => partOf(wanted, turned, id)),
      );
    }
  });

  it("are one at least, as any worker may take the next call", () => {
    assert.deepEqual(parts({ ...shop, count: 1 }, fleet(8, 8, 8)), [1, 1, 1]);
  });

  it("are larger at a worker with more room", () => {
    assert.deepEqual(parts({ ...shop, count: 10 }, fleet(32, 8)), [8, 2]);
  });

  it("give the odd one to different workers for different functions", () => {
    const keepers = fleet(8, 8);
    const first = new Set(
      Array.from({ length: 20 }, (_, index) => partOf({ ...shop, functionName: `f${index}` }, keepers, "worker-0")),
    );
    assert.deepEqual([...first].sort(), [2, 3]);
  });

  it("are nothing at a worker that is not there", () => {
    assert.equal(partOf(shop, fleet(8), "worker-9"), 0);
  });
});

describe("the instances of all workers", () => {
  const provision = (functionName: string, minInstances: number, percent = 100) => ({
    ...{ tenant: "main", functionName },
    versions: [{ version: "1", percent, memoryMiB: 128, minInstances }],
  });

  it("are no more of a tenant than it may have", () => {
    const wanted = wantedOf([provision("b", 3), provision("a", 2)], () => 4, 0);
    assert.deepEqual(
      wanted.map(({ functionName, count }) => [functionName, count]),
      [
        ["a", 2],
        ["b", 2],
      ],
    );
  });

  it("are as many as the hour says, of what the tenant has left then", () => {
    const office = {
      ...provision("a", 0),
      versions: [
        {
          version: "1",
          percent: 100,
          memoryMiB: 128,
          minInstances: [{ count: 1 }, { count: 3, cron: "0 8 * * *", for: "1h" }],
        },
      ],
    };
    const counts = (time: string) =>
      wantedOf([office, provision("b", 3)], () => 4, Date.parse(time)).map(({ count }) => count);
    assert.deepEqual(
      [counts("2026-11-30T08:00:00Z"), counts("2026-11-30T09:00:00Z")],
      [
        [3, 1],
        [1, 3],
      ],
    );
  });

  it("are of both versions of a canary, by their shares", () => {
    const versions = [
      { version: "1", percent: 90, memoryMiB: 128, minInstances: 10 },
      { version: "2", percent: 10, memoryMiB: 128, minInstances: 10 },
    ];
    const wanted = wantedOf([{ tenant: "main", functionName: "shop", versions }], () => 100, 0);
    assert.deepEqual(
      wanted.map(({ version, count }) => [version, count]),
      [
        ["1", 9],
        ["2", 1],
      ],
    );
  });
});

describe("a worker with too little room", () => {
  it("gives each tenant its first instance before any has its second", () => {
    const wanted = [
      { ...shop, count: 9 },
      { ...shop, tenant: "other", count: 2 },
    ];
    assert.deepEqual(fitting(wanted, { sandboxes: 5, memoryMiB: 10_000 }), [3, 2]);
    assert.deepEqual(fitting(wanted, { sandboxes: 2, memoryMiB: 10_000 }), [1, 1]);
  });

  it("leaves out what has too much memory, and has others for it", () => {
    const wanted = [
      { ...shop, count: 2, memoryMiB: 512 },
      { ...shop, count: 2 },
    ];
    assert.deepEqual(fitting(wanted, { sandboxes: 8, memoryMiB: 512 }), [1, 0]);
    assert.deepEqual(fitting(wanted, { sandboxes: 8, memoryMiB: 500 }), [0, 2]);
  });
});
