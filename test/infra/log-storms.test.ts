/** Lines in storms are counted. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger, type LoggerOptions } from "../../infra/log.ts";

/** A logger, its lines, and what resolves with the first line that matches. */
function capture(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  let onLine = () => {};
  const log = createLogger({
    ...{ service: "worker", level: "debug", human: true, storms: { burst: 3, windowMs: 200 } },
    write: (line) => {
      lines.push(line.slice(13).trim());
      onLine();
    },
    ...options,
  });
  const line = async (pattern: RegExp) => {
    while (!lines.some((text) => pattern.test(text))) await new Promise<void>((resolve) => (onLine = resolve));
    return lines.find((text) => pattern.test(text));
  };
  return { log, lines, line };
}

test("the first of a kind are written, the others counted, and the next storm begins anew", async (t) => {
  const { log, lines, line } = capture();
  // Held, as the loggers' timers keep no process alive.
  const alive = setInterval(() => {}, 1_000);
  t.after(() => clearInterval(alive));
  for (let i = 0; i < 315; i++) log.warn(`sandbox ${i} died`, { code: "KILLED", requestId: String(i) });
  assert.equal(lines.length, 3);
  assert.match(String(lines[2]), /sandbox 2 died code=KILLED requestId=2$/);
  const told = await line(/more/);
  assert.match(
    String(told),
    /^warn {2}worker: sandbox 0 died \.\.\. and 312 more like it in 0\.2 s code=KILLED more=312$/,
  );
  log.warn("sandbox 7 died", { code: "KILLED" });
  assert.equal(lines.length, 5);
});

test("lines of another level, message, error or function are of another kind, and a child's are not", () => {
  const { log, lines } = capture();
  for (let i = 0; i < 10; i++) log.warn("failed", { code: "A" });
  for (let i = 0; i < 10; i++) log.child({ id: i }).warn("failed", { code: "A" });
  assert.equal(lines.length, 3);
  log.error("failed", { code: "A" });
  log.warn("failed again", { code: "A" });
  log.warn("failed", { code: "B" });
  log.warn("failed", { code: "A", function: "main/hello" });
  assert.equal(lines.length, 7);
  // A tenant's name may differ from another's in a number alone.
  for (let i = 0; i < 10; i++) log.warn("failed", { function: "tenant1/hello" });
  log.warn("failed", { function: "tenant2/hello" });
  assert.equal(lines.length, 11);
});

test("of very many kinds not all are told apart", async (t) => {
  const { log, lines, line } = capture();
  const alive = setInterval(() => {}, 1_000);
  t.after(() => clearInterval(alive));
  const word = (i: number) => [...String(i)].map((digit) => "ghijklmnop"[Number(digit)]).join("");
  for (let i = 0; i < 3_000; i++) log.warn(word(i));
  assert.equal(lines.length, 2_003);
  assert.match(String(await line(/more/)), /and 997 more of many kinds/);
});

test("a storm of very many kinds hides no line of another part", async (t) => {
  const { log, lines, line } = capture();
  const alive = setInterval(() => {}, 1_000);
  t.after(() => clearInterval(alive));
  for (let i = 0; i < 3_000; i++) log.warn("a call failed", { function: `main/f${i}` });
  assert.equal(lines.length, 1_003);
  log.warn("the disk is full");
  assert.match(String(lines[1_003]), /the disk is full$/);
  assert.match(String(await line(/more/)), /a call failed \.\.\. and 1997 more of many kinds in 0\.2 s more=1997$/);
});

test("debugging sees every line, and so does whoever wants no counting", () => {
  const { log, lines } = capture();
  for (let i = 0; i < 10; i++) log.debug("same");
  assert.equal(lines.length, 10);
  const all = capture({ storms: null });
  for (let i = 0; i < 10; i++) all.log.warn("same");
  assert.equal(all.lines.length, 10);
});
