/** What the CLI makes of texts: escaping, suggestions, source frames, names, waterfalls. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { nameFrom } from "../../../../functions/cli/commands/init.ts";
import { sourceFrame } from "../../../../functions/cli/config/source-frame.ts";
import { nearest } from "../../../../functions/cli/config/suggest.ts";
import { waterfall } from "../../../../functions/cli/show/waterfall.ts";
import { NAME_PATTERN } from "../../../../functions/model/manifest.ts";
import type { StoredSpan } from "../../../../functions/model/span.ts";

describe("did you mean", () => {
  const fields = ["name", "entry", "memoryMiB", "timeoutMs", "env"];
  it("finds slips and leaves what is something else", () => {
    assert.equal(nearest("memoryMb", fields), "memoryMiB");
    assert.equal(nearest("evn", fields), "env");
    assert.equal(nearest("TIMEOUTMS", fields), "timeoutMs");
    assert.equal(nearest("schedule", fields), null);
    assert.equal(nearest("", fields), null);
  });
});

describe("a source frame", () => {
  it("puts carets under what is meant", () => {
    assert.equal(sourceFrame('{\n  "a": 1\n}', 4, 3), '  2 |   "a": 1\n    |   ^^^');
  });
  it("shows a long line around the place, and survives the end of the text", () => {
    const [shown = "", caret = ""] = sourceFrame("x".repeat(1000), 700, 5).split("\n");
    assert.ok(shown.length < 120 && caret.endsWith("^^^^^"));
    assert.equal(sourceFrame("", 0, 1), "  1 | \n    | ^");
  });
});

describe("a function's name out of a directory's", () => {
  it("is valid whatever the directory is called", () => {
    assert.equal(nameFrom("My Function!"), "my-function");
    assert.equal(nameFrom("Café_2"), "cafe-2");
    assert.equal(nameFrom("---"), "my-function");
    fc.assert(fc.property(fc.string({ unit: "binary" }), (name) => assert.match(nameFrom(name), NAME_PATTERN)));
  });
});

function span(name: string, startMs: number, endMs: number, more: Partial<StoredSpan> = {}): StoredSpan {
  const ids = { traceId: "0".repeat(32), spanId: name };
  return {
    ...ids,
    name,
    kind: "internal",
    service: "worker",
    startMs,
    endMs,
    status: "unset",
    attributes: {},
    ...more,
  };
}

describe("a waterfall", () => {
  const spans = [
    span("handler", 1006, 1010, { parentSpanId: "gateway" }),
    span("gateway", 1000, 1010, { parentSpanId: "not-here", attributes: { "sandpiper.outcome": "ok\u001b[2J" } }),
    span("queue", 1000, 1005, { parentSpanId: "gateway", status: "error", statusMessage: "lost" }),
  ];

  it("draws a row a span under its parent, in the order of time", () => {
    assert.deepEqual(waterfall(spans, { columns: 55, utf8: false }), [
      "gateway                #################### 10.00 ms".replace(" 10.00", "    10.00"),
      "  outcome=ok\\x1b[2J",
      "  queue!               ##########..........     5.00 ms",
      "    lost",
      "  handler              ............########     4.00 ms",
    ]);
  });

  it("is ASCII where the locale is not UTF-8, and never wider than the terminal", () => {
    const long = [...spans, span("x".repeat(200), 1000, 1001, { statusMessage: "y".repeat(500) })];
    for (const utf8 of [true, false]) {
      const lines = waterfall(long, { columns: 80, utf8 });
      assert.ok(lines.every((line) => line.length <= 80));
      assert.equal(/[^\x20-\x7e]/.test(lines.join("")), utf8);
    }
  });

  it("survives spans in a circle, spans without length, and none", () => {
    assert.deepEqual(waterfall([], { columns: 80, utf8: true }), []);
    assert.equal(waterfall([span("a", 5, 5)], { columns: 80, utf8: true }).length, 1);
    waterfall([span("a", 1, 2, { parentSpanId: "b" }), span("b", 1, 2, { parentSpanId: "a" })], {
      columns: 80,
      utf8: true,
    });
  });
});
