/** Lines of a worker's log about what ended. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { TestWorker } from "../helpers/worker.ts";
import { zygotesHere } from "../helpers/zygotes.ts";

let test: TestWorker;
before(async () => {
  test = await TestWorker.start();
});
after(() => test.stop());

/** Lines with that message, once there are some of that reason. */
async function lines(message: string, reason: RegExp) {
  const found = () => test.logged.filter((line) => line.message === message && reason.test(String(line.reason)));
  await eventually(() => found().length > 0);
  return found();
}

const ENDS: [name: string, source: string, settings: Parameters<TestWorker["deploy"]>[2], reason: RegExp][] = [
  ["exits", "export default () => process.exit(7);", {}, /^it ended itself with exit code 7$/],
  ["crashes", "export default () => process.abort();", {}, /^it was ended by SIG\w+$|exit code 134/],
  [
    "takes too much memory",
    "export default () => { const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1)); };",
    { memoryMiB: 64 },
    /^it needed more memory than its limit$/,
  ],
  [
    "takes too long",
    "export default () => new Promise(() => {});",
    { timeoutMs: 100 },
    /^the time of its call was over$/,
  ],
];
for (const [name, source, settings, reason] of ENDS) {
  it(`a sandbox whose function ${name} is one line with the cause`, async () => {
    const functionName = name.replaceAll(" ", "-");
    await test.deploy(functionName, source, settings);
    await test.call(functionName);
    const [line, ...more] = await lines("a sandbox ended", reason);
    assert.deepEqual(more, []);
    assert.equal(line?.level, "info");
    assert.match(String(line?.sandbox), /^[0-9a-f]{16}$/);
    assert.ok(Number(line?.peakMemoryBytes) > 0);
  });
}

it("a zygote that is killed is one line, and so is each sandbox that it had", async () => {
  await test.deploy("hello", "export default () => 'hello';");
  await test.call("hello");
  const [pid = 0] = zygotesHere();
  const before = test.logged.length;
  process.kill(pid, "SIGKILL");
  const [line, ...more] = await lines(
    "a zygote died; its sandboxes end with it, and the next one is started",
    /SIGKILL/,
  );
  assert.deepEqual([line?.level, line?.pid, more], ["error", pid, []]);
  await lines("a sandbox ended", /the zygote died \(SIGKILL\)/);
  assert.equal((await test.call("hello")).outcome, "ok");
  const ended = test.logged.slice(before).filter(({ message }) => message === "a sandbox ended");
  assert.equal(ended.length, Number(line?.sandboxes));
});

it("a zygote that is retired is no death", async () => {
  const other = await TestWorker.start({
    SANDPIPER_UID_BASE: "3000000",
    SANDPIPER_ZYGOTE_FORKS: "1",
    SANDPIPER_PREWARMED: "0",
  });
  await other.deploy("hello", "export default () => 'hello';");
  await other.call("hello");
  await other.stop();
  const told = other.logged.map(({ message }) => String(message));
  assert.ok(told.includes("a zygote was retired"));
  assert.ok(!told.some((message) => message.startsWith("a zygote died")));
});
