/** The sign of waiting: when it is there, and that nothing of it stays. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { whileWaiting } from "../../../../functions/cli/terminal/spinner.ts";
import { eventually } from "../../../helpers/eventually.ts";

const CLEAR = "\r\x1b[2K";

function terminal() {
  const written: string[] = [];
  return { written, write: (text: string) => written.push(text) };
}

it("shows nothing of what is answered soon", async () => {
  const stream = terminal();
  assert.equal(await whileWaiting(Promise.resolve(7), { stream, isUtf8: true, quietMs: 3_600_000 }), 7);
  assert.deepEqual(stream.written, []);
});

for (const [isUtf8, first, second] of [
  [true, "⠋", "⠙"],
  [false, "|", "/"],
] as const)
  it(`turns while an answer is waited for, and is gone then${isUtf8 ? "" : ", in ASCII"}`, async () => {
    const stream = terminal();
    const { promise, reject } = Promise.withResolvers<void>();
    const waiting = whileWaiting(promise, { stream, isUtf8, quietMs: 1 });
    await eventually(() => stream.written.length >= 2);
    reject(new Error("the answer"));
    await assert.rejects(waiting, /the answer/);
    assert.equal(stream.written.at(-1), CLEAR);
    const [one = "", two = ""] = stream.written;
    assert.ok(one.startsWith(`${CLEAR}${first} waiting for the gateway`) && two.startsWith(`${CLEAR}${second} `));
  });
