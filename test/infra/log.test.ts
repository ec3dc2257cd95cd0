import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "../../infra/log.ts";

function capture(human: boolean, level: "debug" | "info" = "info") {
  const lines: string[] = [];
  const now = () => new Date("2026-01-02T03:04:05.678Z");
  return {
    lines,
    log: createLogger({ service: "gateway", human, level, now, write: (line) => void lines.push(line) }),
  };
}

test("a piped line is one JSON object", () => {
  const { lines, log } = capture(false);
  log.child({ id: 1 }).info("listening", { port: 8787, absent: undefined });
  assert.equal(lines.length, 1);
  assert.deepEqual(JSON.parse(String(lines[0])), {
    time: "2026-01-02T03:04:05.678Z",
    level: "info",
    service: "gateway",
    message: "listening",
    id: 1,
    port: 8787,
  });
});

test("a line for people is short", () => {
  const { lines, log } = capture(true);
  log.warn("slow", { ms: 12, path: "/a" });
  assert.deepEqual(lines, ["03:04:05.678 warn  gateway: slow ms=12 path=/a\n"]);
});

test("lines below the level are dropped", () => {
  const { lines, log } = capture(true);
  log.debug("no");
  assert.deepEqual(lines, []);
});

test("control characters never reach a terminal, and a line stays one line", () => {
  for (const human of [true, false]) {
    const { lines, log } = capture(human);
    log.info("a\nb\u001b[31m\u009b\u2028\u202e", { "k\n": "v\r" });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be left.
    assert.doesNotMatch(String(lines[0]).slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u2028\u202e]/);
  }
});

test("secrets are masked wherever they are", () => {
  const { lines, log } = capture(false);
  log.info("x", { apiKey: "sp_1", headers: { authorization: "Bearer sp_2", list: [{ password: "sp_3" }] } });
  assert.doesNotMatch(String(lines[0]), /sp_\d/);
});

test("errors are spelled out with cause and code", () => {
  const { lines, log } = capture(false);
  log.error("failed", { error: new Error("outer", { cause: Object.assign(new Error("inner"), { code: "EPIPE" }) }) });
  const { error } = JSON.parse(String(lines[0]));
  assert.equal(error.message, "outer");
  assert.equal(error.cause.code, "EPIPE");
});

test("no value can make logging throw or a line endless", () => {
  const { lines, log } = capture(false);
  const circular: Record<string, unknown> = { big: 1n, call: () => {}, bytes: Buffer.alloc(9) };
  circular.self = circular;
  log.info("x".repeat(100_000), { circular, __proto__: 1, date: new Date(Number.NaN) });
  assert.ok(String(lines[0]).length < 20_000);
  assert.doesNotThrow(() => JSON.parse(String(lines[0])));
});
