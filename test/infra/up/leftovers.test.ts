import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { killLeftovers, ProcessRecord } from "../../../infra/up/leftovers.ts";
import { identify } from "../../../infra/up/process-id.ts";
import { fillDisk, tempDir, tinyDisk } from "../../helpers/temp-dir.ts";

async function sleeper() {
  const child = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
  await once(child, "spawn");
  return { child, pid: child.pid as number, exit: once(child, "exit") };
}

test("what an earlier run recorded and left running is killed, and only that", async () => {
  const file = join(tempDir(), "processes.json");
  const [left, done] = [await sleeper(), await sleeper()];
  const record = new ProcessRecord(file);
  record.add(left.pid);
  record.add(done.pid);
  record.remove(done.pid);
  assert.equal(killLeftovers(file), 1);
  assert.deepEqual(await left.exit, [null, "SIGKILL"]);
  assert.ok(identify(done.pid));
  assert.ok(!existsSync(file));
  done.child.kill();
  await done.exit;
});

test("a process with a reused number is spared", async () => {
  const file = join(tempDir(), "processes.json");
  const other = await sleeper();
  const startTicks = Number(identify(other.pid)?.startTicks) - 1;
  writeFileSync(file, JSON.stringify([{ pid: other.pid, startTicks }]));
  assert.equal(killLeftovers(file), 0);
  assert.ok(identify(other.pid));
  other.child.kill();
  await other.exit;
});

test("a missing or damaged record is an empty one", () => {
  const file = join(tempDir(), "processes.json");
  assert.equal(killLeftovers(file), 0);
  for (const content of ["{", "{}", '[null, 1, {"pid": 1, "startTicks": 0}]']) {
    writeFileSync(file, content);
    assert.equal(killLeftovers(file), 0);
  }
});

test("a record that cannot be written is told of once until it can be, and stops nobody", (t) => {
  const disk = tinyDisk(t);
  const told: string[] = [];
  const record = new ProcessRecord(join(disk, "processes.json"), ({ message }) => told.push(message));
  record.add(process.pid);
  fillDisk(disk);
  record.add(process.ppid);
  record.remove(process.ppid);
  assert.equal(told.length, 1, told.join());
  assert.match(told.join(), /ENOSPC/);
  rmSync(join(disk, "filling"));
  record.add(process.ppid);
  fillDisk(disk);
  record.remove(process.ppid);
  assert.equal(told.length, 2);
});
