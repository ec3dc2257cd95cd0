/** What a sandbox could read in its own memory, all of it: nothing that a tenant may not know. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { findInMemory } from "../../helpers/memory.ts";

const LAUNCHER = join(import.meta.dirname, "fixtures/canary-launcher.ts");
const name = `canary-${randomBytes(8).toString("hex")}`;
const canary = (where: string) => `${name}-${where}`;

let worker: ChildProcess;
const WORKERS = ["argv", "env", "heap", "buffer"].map(canary);
const OTHERS = ["bundle", "other-env", "program-argv", "program-env"].map(canary);
const OWN = canary("own-env");
/** What was found in the memory of each. */
let found: Record<"worker" | "zygote" | "sandbox", string[]>;
before(async () => {
  worker = spawn(process.execPath, [LAUNCHER, canary("argv")], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, CANARY_NAME: name, CANARY: canary("env") },
  });
  const [line] = (await once(worker.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  const { pid, zygote } = JSON.parse(line.toString());
  found = {
    worker: findInMemory(worker.pid as number, WORKERS),
    zygote: findInMemory(zygote, WORKERS),
    sandbox: findInMemory(pid, [OWN, ...WORKERS, ...OTHERS]),
  };
});
after(async () => {
  const gone = once(worker, "exit");
  worker.stdin?.end();
  await gone;
});

test("the search finds what is there: in the worker, and in the sandbox's own environment", () => {
  assert.deepEqual(found.worker.sort(), WORKERS.sort());
  assert.ok(found.sandbox.includes(OWN));
});

test("nothing of the worker's: arguments, environment, heap, buffers", () => {
  assert.deepEqual(found.zygote, []);
  assert.deepEqual(
    found.sandbox.filter((text) => WORKERS.includes(text)),
    [],
  );
});

test("nothing of a sandbox that was made before: its bundle, its environment, a program's arguments and environment", () => {
  assert.deepEqual(
    found.sandbox.filter((text) => OTHERS.includes(text)),
    [],
  );
});
