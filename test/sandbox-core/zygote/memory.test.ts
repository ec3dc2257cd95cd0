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
let facts: { pid: number; zygote: number; otherId: string };
before(async () => {
  worker = spawn(process.execPath, [LAUNCHER, canary("argv")], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, CANARY_NAME: name, CANARY: canary("env") },
  });
  const [line] = (await once(worker.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  facts = JSON.parse(line.toString());
});
after(async () => {
  const gone = once(worker, "exit");
  worker.stdin?.end();
  await gone;
});

test("the search finds what is there: in the worker, and in the sandbox's own environment", () => {
  const everywhere = ["argv", "env", "heap", "buffer"].map(canary);
  assert.deepEqual(findInMemory(worker.pid as number, everywhere).sort(), everywhere.sort());
  assert.deepEqual(findInMemory(facts.pid, [canary("own-env")]), [canary("own-env")]);
});

test("nothing of the worker's: arguments, environment, heap, buffers", () => {
  const secrets = ["argv", "env", "heap", "buffer"].map(canary);
  assert.deepEqual(findInMemory(facts.pid, [...secrets, name.slice(0, -1)]), [name.slice(0, -1)]);
  for (const pid of [facts.pid, facts.zygote]) assert.deepEqual(findInMemory(pid, secrets), []);
});

test("nothing of a sandbox that was made before: its bundle, its environment, a program's arguments and environment", () => {
  const others = ["bundle", "other-env", "program-argv", "program-env"].map(canary);
  assert.deepEqual(findInMemory(facts.pid, others), []);
});
