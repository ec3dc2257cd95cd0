import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { lockDataDir } from "../../../infra/up/lock.ts";
import { identify } from "../../../infra/up/process-id.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const CHILD = new URL("../fixtures/lock-child.ts", import.meta.url).pathname;

test("a lock held by another process is refused; a killed holder's is taken over", async () => {
  const dir = tempDir();
  const holder = spawn(process.execPath, [CHILD, dir], { stdio: ["ignore", "pipe", "inherit"] });
  await once(holder.stdout, "data");
  assert.throws(() => lockDataDir(dir), new RegExp(`another Sandpiper \\(process ${holder.pid}\\)`));
  holder.kill("SIGKILL");
  await once(holder, "exit");
  lockDataDir(dir).release();
  assert.deepEqual(readdirSync(dir), []);
});

test("a process that got the number of a dead holder does not hold the lock", () => {
  const dir = tempDir();
  const self = identify(process.pid);
  assert.ok(self);
  writeFileSync(join(dir, "lock"), JSON.stringify({ ...self, startTicks: self.startTicks - 1 }));
  lockDataDir(dir).release();
});

test("a damaged lock is taken over", () => {
  for (const content of ["", "null", '{"pid":-1,"startTicks":1}', "{"]) {
    const dir = tempDir();
    writeFileSync(join(dir, "lock"), content);
    lockDataDir(dir).release();
  }
});

test("it is refused to its own holder too, until it is released", () => {
  const dir = tempDir();
  const lock = lockDataDir(dir);
  assert.throws(() => lockDataDir(dir), /another Sandpiper/);
  lock.release();
  lockDataDir(dir).release();
});
