/** Figures of a worker, as Prometheus reads them. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { stretched } from "../helpers/slowness.ts";
import { TestWorker } from "../helpers/worker.ts";
import { zygotesHere } from "../helpers/zygotes.ts";

let test: TestWorker;
before(async () => {
  test = await TestWorker.start();
});
after(() => test.stop());

/** Sum of the series of that name which have these labels. */
async function value(name: string, labels: Record<string, string> = {}): Promise<number> {
  const text = await test.worker.metrics.registry.metrics();
  const wanted = Object.entries(labels).map(([label, is]) => `${label}="${is}"`);
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => wanted.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

it("counts calls of functions by the names of OpenTelemetry's conventions", async () => {
  await test.deploy("hello", "export default () => 'hello';");
  await test.deploy("late", "export default () => new Promise(() => {});", { timeoutMs: stretched(200) });
  const ids = [await test.call("hello"), await test.call("hello"), await test.call("late")].map(({ id }) => id);
  for (const id of ids) await test.record(id);
  const [hello, late] = ["hello", "late"].map((name) => ({ tenant: "main", function: name }));
  assert.equal(await value("faas_invocations_total", { ...hello, outcome: "ok" }), 2);
  assert.equal(await value("faas_invoke_duration_seconds_count", hello), 2);
  assert.equal(await value("faas_coldstarts_total", hello), 1);
  assert.equal(await value("faas_init_duration_seconds_count", hello), 1);
  assert.ok((await value("faas_init_duration_seconds_sum", hello)) > 0);
  assert.equal(await value("faas_timeouts_total", late), 1);
  assert.equal(await value("faas_errors_total", { ...late, code: "TIMEOUT" }), 1);
  assert.ok((await value("faas_mem_usage_bytes_sum", hello)) > 1_000_000);
  assert.equal(await value("faas_cpu_usage_seconds_count", hello), 2);
  assert.equal(await value("sandpiper_queue_wait_seconds_count"), 3);
  assert.ok((await value("sandpiper_launch_duration_seconds_count", { phase: "load" })) >= 2);
  assert.ok((await value("sandpiper_launch_duration_seconds_count", { phase: "sandbox" })) >= 2);
});

it("tells its pool, launcher and zygotes at each scrape", async () => {
  const states = ["blank", "starting", "busy", "free"];
  const counts = await Promise.all(states.map((state) => value("sandpiper_pool_sandboxes", { state })));
  assert.ok(counts.reduce((sum, count) => sum + count) > 0);
  assert.equal(await value("sandpiper_launcher_info", { launcher: "fork" }), 1);
  assert.equal(await value("sandpiper_launcher_degraded"), 0);
  assert.equal(await value("sandpiper_zygotes"), 1);
  assert.equal(await value("sandpiper_pool_max_sandboxes"), 8);
  assert.ok((await value("sandpiper_sandboxes_memory_bytes")) > 1_000_000);
  assert.ok((await value("sandpiper_worker_free_slots")) > 0);
});

it("counts zygotes that died, and the sandboxes that ended with them", async () => {
  const starts = await value("sandpiper_zygote_starts_total");
  const [pid = 0] = zygotesHere();
  process.kill(pid, "SIGKILL");
  await eventually(async () => (await value("sandpiper_zygote_starts_total")) === starts + 1);
  assert.equal(await value("sandpiper_zygote_ends_total", { cause: "died" }), 1);
  assert.ok((await value("sandpiper_sandbox_ends_total", { cause: "zygote" })) > 0);
  assert.equal(await value("sandpiper_sandbox_ends_total", { cause: "ended_by_worker" }), 1);
});
