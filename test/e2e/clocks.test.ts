import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { Platform } from "../helpers/platform.ts";
import { stretched } from "../helpers/slowness.ts";

/** More than a call may wait in the queue. */
const QUEUE_WAIT_MS = stretched(30_000);
const OFF_MS = QUEUE_WAIT_MS + 60_000;

let platform: Platform;
let url = "";
before(async () => {
  const module = new URL(`../helpers/clock-module.ts?gateway=${-OFF_MS}&worker=${OFF_MS}`, import.meta.url);
  platform = await Platform.start({
    env: { NODE_OPTIONS: `--import=${module.href}`, SANDPIPER_QUEUE_WAIT_MS: String(QUEUE_WAIT_MS) },
  });
  url = await platform.deployFiles("hello", "export default () => new Response('hello')");
});
after(() => platform.stop());

test("a gateway whose clock is behind and a worker whose clock is ahead answer calls, as Redis's decides", async () => {
  const response = await fetch(url);
  assert.deepEqual([response.status, await response.text()], [200, "hello"]);
});

test("the time that a call waited is none that a clock is off", async () => {
  const response = await fetch(url);
  await response.text();
  const [, queueMs] = /^queue;dur=([\d.]+)/.exec(response.headers.get("server-timing") ?? "") ?? [];
  assert.ok(Number(queueMs) < QUEUE_WAIT_MS, `${queueMs} ms`);
});

test("/readyz and doctor say whose clock is off, and by how much", async () => {
  const seconds = (OFF_MS / 1_000).toFixed(0);
  const [behind, ahead] = [
    /^this gateway: (\d+)\.\d s behind Redis's$/,
    /^worker worker-0: (\d+)\.\d s ahead of Redis's$/,
  ];
  let clocks: string[] = [];
  await eventually(async () => {
    const ready = (await (await fetch(`${platform.url}/readyz`)).json()) as { clocks?: string[] };
    clocks = ready.clocks ?? [];
    return clocks.length === 2;
  });
  for (const [index, pattern] of [behind, ahead].entries()) {
    const off = Number(pattern.exec(clocks[index] ?? "")?.[1]);
    assert.ok(Math.abs(off - Number(seconds)) <= 1, clocks[index]);
  }
  const { stdout, stderr } = await platform.cli(["doctor"]);
  assert.match(stdout + stderr, /clocks are wrong: this gateway: \d+\.\d s behind Redis's, worker worker-0/);
});
