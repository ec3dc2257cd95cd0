/** How many instances are kept warm at which time. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  instancesAt,
  type MinInstances,
  minInstancesSchema,
  mostInstances,
  nextChange,
} from "../../../../functions/model/provisions/min-instances.ts";

const BERLIN = "Europe/Berlin";
const HOUR_MS = 3_600_000;
const at = (text: string): number => Date.parse(text);
/** Of each of these moments: how many instances are kept. */
const counts = (minInstances: MinInstances, times: string[]) =>
  times.map((time) => instancesAt(minInstances, at(time)));
const nightly = [{ count: 2, cron: "0 22 * * *", for: "10h", timezone: BERLIN }];

describe("instances by the clock", () => {
  it("are there from the moment that the cron expression says, and not at the moment of the end", () => {
    const office = [{ count: 5, cron: "0 8 * * 1-5", for: "10h", timezone: BERLIN }];
    // A Friday in winter, and the Saturday after it.
    const times = ["07:59:59.999", "08:00:00", "12:00:00.001", "17:59:59.999", "18:00:00"];
    const on = (day: string) => times.map((time) => `${day}T${time}+01:00`);
    assert.deepEqual(counts(office, on("2026-11-27")), [0, 5, 5, 5, 0]);
    assert.deepEqual(counts(office, on("2026-11-28")), [0, 0, 0, 0, 0]);
  });

  it("go by UTC without a time zone", () => {
    const list = [{ count: 1, cron: "0 8 * * *", for: "1h" }];
    assert.deepEqual(counts(list, ["2026-07-01T08:30:00Z", "2026-07-01T07:30:00Z"]), [1, 0]);
  });

  it("stay across midnight, and for days", () => {
    assert.deepEqual(
      counts(nightly, ["2026-11-30T23:30:00+01:00", "2026-12-01T00:30:00+01:00", "2026-12-01T08:00:00+01:00"]),
      [2, 2, 0],
    );
    const weekend = [{ count: 3, cron: "0 18 * * fri", for: "3d", timezone: BERLIN }];
    assert.deepEqual(counts(weekend, ["2026-11-30T17:59:00+01:00", "2026-11-30T18:00:00+01:00"]), [3, 0]);
  });

  it("begin by the clock of the time zone in summer and winter, and last for their time, not for the clock's", () => {
    // The clock goes from 2:00 to 3:00 on the 29th of March, and back on the 25th of October.
    const spring = ["2026-03-28T20:59:59Z", "2026-03-28T21:00:00Z", "2026-03-29T06:59:59Z", "2026-03-29T07:00:00Z"];
    assert.deepEqual(counts(nightly, spring), [0, 2, 2, 0]);
    const after = ["2026-03-29T19:59:59Z", "2026-03-29T20:00:00Z", "2026-03-30T05:59:59Z", "2026-03-30T06:00:00Z"];
    assert.deepEqual(counts(nightly, after), [0, 2, 2, 0]);
    const autumn = ["2026-10-24T19:59:59Z", "2026-10-24T20:00:00Z", "2026-10-25T05:59:59Z", "2026-10-25T06:00:00Z"];
    assert.deepEqual(counts(nightly, autumn), [0, 2, 2, 0]);
  });

  it("come once on the days on which the clocks skip or repeat that moment, whenever one looks", () => {
    const hour = { count: 1, cron: "30 2 * * *", for: "1h", timezone: BERLIN };
    for (const [night, first] of [
      ["2026-03-29T00:00:00Z", "2026-03-29T01:30:00Z"],
      ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"],
    ] as const) {
      for (let minute = 0; minute < 240; minute += 10) {
        const nowMs = at(night) + minute * 60_000;
        // Another length for each look, so that none is answered from the one before.
        const entry = { ...hour, for: `${3_600 + minute}s` };
        const isOn = nowMs >= at(first) && nowMs < at(first) + HOUR_MS + minute * 1_000;
        assert.equal(instancesAt([entry], nowMs), isOn ? 1 : 0, `${new Date(nowMs).toISOString()}`);
      }
    }
  });

  it("are as many as the largest entry that is on says, whatever the order", () => {
    const list = [
      { count: 5, cron: "0 8 * * *", for: "4h" },
      { count: 1 },
      { count: 9, cron: "0 11 * * *", for: "2h" },
    ];
    const day = (hours: string[]) => hours.map((time) => `2026-11-30T${time}:00Z`);
    const hours = day(["07:00", "08:00", "11:00", "12:30", "13:00"]);
    assert.deepEqual(counts(list, hours), [1, 5, 9, 9, 1]);
    assert.deepEqual(counts([...list].reverse(), hours), [1, 5, 9, 9, 1]);
    assert.equal(mostInstances(list), 9);
  });

  it("stay while each period begins before the last one ends", () => {
    const list = [{ count: 1, cron: "*/10 * * * *", for: "10m" }];
    const seconds = Array.from({ length: 400 }, (_, index) => at("2026-11-30T00:00:00Z") + index * 17_000);
    assert.ok(seconds.every((nowMs) => instancesAt(list, nowMs) === 1));
    assert.equal(nextChange(list, seconds[0] ?? 0), null);
  });

  it("are right again when a clock was set back", () => {
    assert.deepEqual(
      counts(nightly, ["2026-11-30T23:00:00Z", "2026-11-30T12:00:00Z", "2026-11-30T23:00:00Z", "2026-12-02T12:00:00Z"]),
      [2, 0, 2, 0],
    );
  });

  it("are always the same of a number", () => {
    assert.deepEqual([instancesAt(3, 0), instancesAt(undefined, 0), nextChange(3, 0)], [3, 0, null]);
  });
});

describe("the next change", () => {
  const next = (minInstances: MinInstances, time: string) => {
    const found = nextChange(minInstances, at(time));
    return found && [new Date(found.atMs).toISOString(), found.count];
  };

  it("is when another number counts, past moments at which none does", () => {
    const list = [
      { count: 2, cron: "0 8 * * 1-5", for: "10h" },
      { count: 1, cron: "0 9 * * 1-5", for: "1h" },
    ];
    // A Friday.
    assert.deepEqual(next(list, "2026-11-27T07:00:00Z"), ["2026-11-27T08:00:00.000Z", 2]);
    assert.deepEqual(next(list, "2026-11-27T08:00:00Z"), ["2026-11-27T18:00:00.000Z", 0]);
    assert.deepEqual(next(list, "2026-11-27T18:00:00Z"), ["2026-11-30T08:00:00.000Z", 2]);
  });

  it("is none where something larger always counts", () => {
    assert.equal(next([{ count: 2 }, { count: 1, cron: "* * * * *", for: "1m" }], "2026-11-27T07:00:00Z"), null);
    assert.equal(next([{ count: 2 }], "2026-11-27T07:00:00Z"), null);
  });
});

describe("the schema of minInstances", () => {
  const accepts = (value: unknown) => minInstancesSchema.safeParse(value).success;
  const entry = { count: 1, cron: "0 8 * * 1-5", for: "1h" };

  it("takes a number, or a list of entries that is not too long", () => {
    for (const value of [0, 1_000, [{ count: 1 }], [entry], Array(20).fill(entry)]) assert.ok(accepts(value));
    for (const value of [-1, 1.5, 1_001, "1", [], {}, [1], [{}], Array(21).fill(entry)]) assert.ok(!accepts(value));
    for (const count of [0, -1, 1.5, 1_001, "1"]) assert.ok(!accepts([{ ...entry, count }]), String(count));
  });

  it("takes five fields that some moment fits, and leaves none to chance", () => {
    for (const cron of [
      "* * * * *",
      "*/5 0-6,12 1 jan-mar MON",
      "0 0 29 2 *",
      "0 0 31 4 1",
      "0  8 * * 7",
      "0 8 * * thu",
    ])
      assert.ok(accepts([{ ...entry, cron }]), cron);
    const tooLong = `${"0,".repeat(50)}0 8 * * *`;
    const wrong = [
      "",
      "a",
      "0 8 * *",
      "0 0 8 * * *",
      "60 8 * * *",
      "0 24 * * *",
      "0 8 * * 8",
      "0 8 * * H",
      "H 8 * * *",
    ];
    for (const cron of [
      ...wrong,
      "0 8 30 2 *",
      "0 8 31 4,6 *",
      "@daily",
      "0 8 L * *",
      "0 8 * * 1#2",
      "0\n8 * * *",
      tooLong,
      1,
    ])
      assert.ok(!accepts([{ ...entry, cron }]), String(cron));
  });

  it("bounds how long an entry counts", () => {
    for (const text of ["1m", "60s", "7d", "168h"]) assert.ok(accepts([{ ...entry, for: text }]), text);
    for (const text of ["59s", "0m", "8d", "169h", "1", "1 h", "h", "1h30m", "-1h", 60])
      assert.ok(!accepts([{ ...entry, for: text }]), String(text));
  });

  it("takes time zones that there are", () => {
    for (const timezone of [BERLIN, "UTC", "America/Argentina/Buenos_Aires"])
      assert.ok(accepts([{ ...entry, timezone }]));
    for (const timezone of ["", "local", "Europe/Nowhere", "../etc/passwd", 1])
      assert.ok(!accepts([{ ...entry, timezone }]), String(timezone));
  });

  it("takes no field beside which another is missing", () => {
    const { cron, for: length } = entry;
    for (const fields of [{ cron }, { for: length }, { timezone: BERLIN }])
      assert.ok(!accepts([{ count: 1, ...fields }]));
  });
});
