/** Signs of life of processes, on a clock of the test's own. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { ProcessHeartbeat } from "../../../sandbox-core/launcher/heartbeat.ts";

const BEAT_MS = 1_000;

/** Beats for this process, which runs, and what came of them. */
function begin(t: TestContext) {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const said: string[] = [];
  const heartbeat = new ProcessHeartbeat(
    process.pid,
    () => said.push("asks"),
    (why) => said.push(why),
  );
  return { heartbeat, said, beat: (times: number) => t.mock.timers.tick(times * BEAT_MS) };
}

test("a process that answers nothing is given up after ten questions, once", (t) => {
  const { said, beat } = begin(t);
  beat(10);
  assert.deepEqual(said, Array(10).fill("asks"));
  beat(5);
  assert.deepEqual(said.slice(10), ["it has not answered for 10 s"]);
});

test("any answer counts, and nothing is asked of one that ended", (t) => {
  const { heartbeat, said, beat } = begin(t);
  for (let rounds = 0; rounds < 5; rounds++) {
    beat(9);
    heartbeat.heard();
  }
  heartbeat.stop();
  beat(20);
  assert.deepEqual(said, Array(45).fill("asks"));
});
