/**
 * Who wants processors, and who waits for something else: tried with real processes and real
 * instances.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { after, test } from "node:test";
import { CpuPressure, OwnPressure } from "../../../worker/pool/cpu-pressure.ts";
import { eventually } from "../../helpers/eventually.ts";
import { TestPool } from "../../helpers/pool.ts";

const children: ChildProcess[] = [];
after(() => children.forEach((child) => void child.kill("SIGKILL")));

/** Starts a script of Node's that has begun; gives its pid. */
async function started(script: string): Promise<number> {
  const child = spawn(process.execPath, ["-e", `process.stdout.write("begun"); ${script}`]);
  children.push(child);
  await once(child.stdout, "data");
  return child.pid as number;
}

/** What looks at these processes, of which it knows nothing yet. */
function lookAt(pids: number[]): () => boolean {
  const cpuPressure = new CpuPressure();
  const eaters = pids.map((pid) => ({ pid, usage: () => ({ cpuMs: 0 }) }));
  const wantsMoreCpu = () => cpuPressure.wantsMoreCpu(eaters);
  assert.equal(wantsMoreCpu(), true, "nothing is known that speaks against it");
  return wantsMoreCpu;
}

const ranNs = (pid: number) => Number(readFileSync(`/proc/${pid}/schedstat`, "latin1").split(" ")[0]);

test("more spinning processes than processors are hungry, however little each of them gets", async () => {
  const spinning = Array.from({ length: 2 * availableParallelism() }, () => started("while (true);"));
  const pids = await Promise.all(spinning);
  const [wantsMoreCpu, before, beganMs] = [lookAt(pids), pids.map(ranNs), performance.now()];
  // Each of them has run since, and for long enough to say something.
  await eventually(
    () => performance.now() - beganMs > 200 && pids.every((pid, index) => ranNs(pid) > (before[index] ?? 0)),
  );
  assert.equal(wantsMoreCpu(), true);
  pids.forEach((pid) => void process.kill(pid, "SIGKILL"));
});

test("who waits for a timer is not", async () => {
  // A shorter wait would be no longer than that for a processor, on a full machine.
  const waiting = await started("setInterval(() => {}, 1_000)");
  const wantsMoreCpu = lookAt([waiting]);
  await eventually(() => !wantsMoreCpu());
  process.kill(waiting, "SIGKILL");
});

test("a process is full while it computes, and no more when it waits", async () => {
  const pressure = new OwnPressure();
  // One look alone decides nothing: it may be of a moment.
  const end = process.cpuUsage().user + 2_000_000;
  let wasFull = false;
  while (!wasFull && process.cpuUsage().user < end) wasFull = pressure.isFull;
  assert.equal(wasFull, true);
  await eventually(() => !pressure.isFull);
});

test("a template whose forks run all the time is, though it waits itself", async () => {
  const waiting = await started("setInterval(() => {}, 10)");
  const [cpuPressure, beganMs] = [new CpuPressure(), performance.now()];
  const eaters = [{ pid: waiting, usage: () => ({ cpuMs: performance.now() - beganMs }) }];
  cpuPressure.wantsMoreCpu(eaters);
  await eventually(() => performance.now() - beganMs > 200);
  assert.equal(cpuPressure.wantsMoreCpu(eaters), true);
  process.kill(waiting, "SIGKILL");
});

/** As many calls at once as that, and how many instances answered them. */
async function instancesOf(code: string, calls: number): Promise<number> {
  const test = new TestPool({ maxSandboxes: 16 });
  const used = await Promise.all(Array.from({ length: calls }, () => test.use({ code, timeoutMs: 60_000 })));
  await test.close();
  return new Set(used.map(({ id }) => id)).size;
}

const WITH_ID = (work: string) => `
  const id = crypto.randomUUID();
  export default async () => { ${work}; return Response.json({ id, calls: 0 }); };`;

test("calls that compute get few instances, as their number is no help", async () => {
  const calls = 6 * Math.max(2, availableParallelism());
  const computing = WITH_ID("const end = process.cpuUsage().user + 60_000; while (process.cpuUsage().user < end)");
  assert.ok((await instancesOf(computing, calls)) <= calls / 2);
});
