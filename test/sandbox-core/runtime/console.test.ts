import assert from "node:assert/strict";
import { test } from "node:test";
import { RuntimeClient } from "../../helpers/runtime-client.ts";

/** Runs code in a handler and returns what it logged: level, source, text. */
async function logged(code: string): Promise<[string, string, string][]> {
  await using runtime = await RuntimeClient.with(`export default () => { ${code}; return new Response() }`);
  await runtime.call();
  return runtime.logs.map(({ level, source, text }) => [level, source, text]);
}

test("console writes records at the level of the method, formatted as Node does", async () => {
  const records = await logged(`
    console.log("%s is %d", "a", 1, { b: [2] });
    console.debug("d"); console.info("i"); console.warn("w"); console.error("e");
    console.group("g"); console.log("two\\nlines"); console.groupEnd();
    console.table([{ a: 1 }]); console.assert(false, "no"); console.count(); console.dir({ a: 1 }); console.log()`);
  assert.deepEqual(records, [
    ["info", "console", "a is 1 { b: [ 2 ] }"],
    ["debug", "console", "d"],
    ["info", "console", "i"],
    ["warn", "console", "w"],
    ["error", "console", "e"],
    ["info", "console", "g"],
    ["info", "console", "  two\n  lines"],
    ["info", "console", "┌─────────┬───┐\n│ (index) │ a │\n├─────────┼───┤\n│ 0       │ 1 │\n└─────────┴───┘"],
    ["warn", "console", "Assertion failed: no"],
    ["info", "console", "default: 1"],
    ["info", "console", "{ a: 1 }"],
    ["info", "console", ""],
  ]);
  assert.match((await logged("console.trace('t')"))[0]?.join() ?? "", /^error,console,Trace: t\n {4}at /);
});

test("stdout and stderr become a record for each line, the last one without an end included", async () => {
  const records = await logged(`
    process.stdout.write("one\\ntw"); process.stdout.write(Buffer.from("o\\n"));
    process.stderr.write("err"); process.stdout.write(Buffer.from([0xc3])); process.stdout.write(Buffer.from([0xa4]));
    process.stdout.end("!"); process.stdout.write("?")`);
  assert.deepEqual(records, [
    ["info", "stdout", "one"],
    ["info", "stdout", "two"],
    ["info", "stdout", "ä!?"],
    ["error", "stderr", "err"],
  ]);
});

test("a record belongs to the call in course, and carries its time", async () => {
  await using runtime = await RuntimeClient.with(`
    console.log("load");
    export default () => { console.log("call"); setTimeout(() => { console.log("later"); process.exit(0) }, 1); return new Response(); };`);
  const before = Date.now();
  await runtime.call();
  await runtime.exited;
  assert.deepEqual(
    runtime.logs.map(({ call, text }) => [call, text]),
    [
      [null, "load"],
      [1, "call"],
      [null, "later"],
    ],
  );
  const timeMs = runtime.logs[1]?.timeMs ?? 0;
  assert.ok(timeMs >= before && timeMs <= Date.now());
});

test("output arrives before the reply, and even when the function then spins for ever", async () => {
  await using runtime = await RuntimeClient.with("export default () => { console.log('last words'); while (true); }");
  runtime.request();
  while (runtime.logs.length === 0) await new Promise((resolve) => runtime.wire.once("data", resolve));
  assert.equal(runtime.logs[0]?.text, "last words");
});

test("a record longer than its limit is cut with a mark", async () => {
  const [[, , text = ""] = []] = await logged("console.log('x'.repeat(1e6))");
  assert.equal(Buffer.byteLength(text), 16 * 1024);
  assert.match(text, /^x+ … \[cut\]$/);
});

test("a flood is cut off by its number of records, and the next call has its share again", async () => {
  await using runtime = await RuntimeClient.with(
    "export default () => { for (let n = 0; n < 1e5; n++) console.log(n); return new Response('ok') }",
  );
  for (let call = 1; call <= 2; call++) {
    runtime.logs.length = 0;
    assert.equal(await runtime.text(), "ok");
    assert.equal(runtime.logs.length, 1001);
    assert.deepEqual([runtime.logs[999]?.text, runtime.logs[1000]?.level], ["999", "warn"]);
    assert.match(runtime.logs[1000]?.text ?? "", /^\[output truncated: .* 1000 records and 262144 bytes\]$/);
  }
});

test("a flood is cut off by its bytes, and by the limits of the load", async () => {
  const code =
    "export default () => { for (let n = 0; n < 100; n++) console.log('x'.repeat(1000)); return new Response() }";
  await using runtime = await RuntimeClient.with(code, { limits: { logBytes: 10_500 } });
  await runtime.call();
  assert.equal(runtime.logs.length, 11);
});
