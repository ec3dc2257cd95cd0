/** The bar of an upload: when it is there, what it shows, and that nothing of it stays. */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { LineStream } from "../../../../functions/cli/terminal/passing-line.ts";
import { ProgressBar } from "../../../../functions/cli/terminal/progress-bar.ts";
import { eventually } from "../../../helpers/eventually.ts";

const MIB = 1024 * 1024;
const CLEAR = "\r\x1b[2K";

function terminal(columns = 80): LineStream & { written: string[] } {
  const written: string[] = [];
  return { columns, written, write: (text) => written.push(text) };
}

it("shows nothing of what is done soon", () => {
  const stream = terminal();
  const bar = new ProgressBar(stream, 3_600_000);
  bar.show(1, 2);
  bar.show(2, 2);
  bar.end();
  assert.deepEqual(stream.written, []);
});

it("shows what takes longer, and takes the bar away when all is done", async () => {
  const stream = terminal();
  const bar = new ProgressBar(stream, 1);
  bar.show(0, 4 * MIB);
  await eventually(() => stream.written.length > 0);
  bar.show(MIB, 4 * MIB);
  assert.deepEqual(stream.written, [
    `${CLEAR}[${"-".repeat(30)}]   0 %  0 B of 4.0 MiB`,
    `${CLEAR}[${"#".repeat(7)}${"-".repeat(23)}]  25 %  1.0 MiB of 4.0 MiB`,
  ]);
  bar.show(4 * MIB, 4 * MIB);
  assert.equal(stream.written.at(-1), CLEAR);
  bar.end();
  assert.equal(stream.written.length, 3);
});

it("shows nothing when there is nothing to upload, and fits a narrow terminal", async () => {
  const [none, narrow] = [terminal(), terminal(40)];
  const [idle, bar] = [new ProgressBar(none, 1), new ProgressBar(narrow, 1)];
  bar.show(1023 * MIB, 1024 * MIB);
  await eventually(() => narrow.written.length > 0);
  idle.end();
  bar.end();
  assert.deepEqual(none.written, []);
  const [line = ""] = narrow.written;
  assert.ok(line.length - CLEAR.length < 40, line);
});
