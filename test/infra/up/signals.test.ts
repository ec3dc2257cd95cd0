import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { listenForEnd } from "../../../infra/up/signals.ts";

test("one Ctrl-C that arrives three times is one; a later one means hurry", () => {
  const source = new EventEmitter();
  let nowMs = 0;
  const { end, hurry } = listenForEnd(source, () => nowMs);
  assert.equal(end.aborted, false);
  for (const signal of ["SIGINT", "SIGINT", "SIGTERM"]) source.emit(signal);
  assert.deepEqual([end.aborted, hurry.aborted], [true, false]);
  nowMs = 2_000;
  source.emit("SIGINT");
  assert.equal(hurry.aborted, true);
});

test("a starter that dies ends it too", () => {
  const source = new EventEmitter();
  const { end } = listenForEnd(source);
  source.emit("disconnect");
  assert.equal(end.aborted, true);
});
