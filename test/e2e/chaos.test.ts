import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { childrenOf, Platform } from "../helpers/platform.ts";
import { eventually } from "../helpers/pool.ts";
import { LONGEST_CALL_MS } from "../helpers/slowness.ts";

const SLOW = `
  export default async (request: Request) => {
    const ms = Number(new URL(request.url).searchParams.get("ms") ?? 0);
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
    return new Response("done");
  };`;

let platform: Platform;
let url = "";
before(async () => {
  platform = await Platform.start();
  url = await platform.deployFiles("slow", SLOW, { timeoutMs: LONGEST_CALL_MS });
});
after(async () => {
  // A worker that drains would wait for the calls that Redis took its gateway from.
  for (const worker of platform.workers) await platform.kill(worker);
  await platform.stop();
});

interface Answer {
  status: number;
  code: string | null;
}

/** Calls that will be in course for long; resolves when a sandbox runs each of them. */
async function callsInCourse(count: number): Promise<Promise<Answer>[]> {
  const calls = Array.from({ length: count }, () => call(LONGEST_CALL_MS));
  await eventually(async () => (await busyInstances()) >= count);
  return calls;
}

async function call(ms: number): Promise<Answer> {
  const response = await fetch(`${url}/?ms=${ms}`);
  const text = await response.text();
  return { status: response.status, code: response.ok ? null : (JSON.parse(text) as ErrorBody).error.code };
}

interface ErrorBody {
  error: { code: string };
}

/** Of all workers. A call that a worker has may still wait for an instance. */
async function busyInstances(): Promise<number> {
  const redis = platform.redis.connect();
  const stored = await Promise.all((await redis.keys("sp:worker:*")).map((key) => redis.get(key)));
  redis.disconnect();
  const facts = stored.flatMap((text) => (text === null ? [] : [JSON.parse(text) as { pool: { busy: number } }]));
  return facts.reduce((sum, { pool }) => sum + pool.busy, 0);
}

/**
 * Calls until one is answered right: how a platform heals is nobody's business, that it does is.
 */
async function heals(): Promise<void> {
  await eventually(async () => (await call(0).catch(() => ({ status: 0 }))).status === 200);
}

describe("kill -9 in the middle of calls", () => {
  it("of a zygote: every caller hears it at once, and the next calls run", async () => {
    const calls = await callsInCourse(3);
    const [worker] = platform.workers;
    assert.ok(worker);
    const zygotes = platform.zygotes(worker);
    assert.ok(zygotes.length > 0, "no zygote was found");
    const sandboxes = zygotes.flatMap(childrenOf);
    for (const pid of zygotes) process.kill(pid, "SIGKILL");
    for (const answer of await Promise.all(calls)) assert.deepEqual(answer, { status: 503, code: "SANDBOX_LOST" });
    await heals();
    for (const pid of [...zygotes, ...sandboxes]) await eventually(() => !existsSync(`/proc/${pid}`));
  });

  it("of a worker: another one answers for it, and nothing of it is left", async () => {
    const calls = await callsInCourse(3);
    const worker = platform.workers.at(-1);
    assert.ok(worker);
    const family = descendantsOf(worker.pid as number);
    await platform.kill(worker);
    const next = platform.startWorker();
    for (const answer of await Promise.all(calls)) assert.deepEqual(answer, { status: 503, code: "WORKER_LOST" });
    await next;
    await heals();
    for (const pid of family) await eventually(() => !existsSync(`/proc/${pid}`));
  });

  it("of Redis: every caller hears it at once, and all heals when it is back", async () => {
    const calls = await callsInCourse(3);
    await platform.redis.kill();
    for (const { status } of await Promise.all(calls)) assert.equal(status, 503);
    assert.deepEqual(await call(0), { status: 503, code: "QUEUE_UNAVAILABLE" });
    await platform.redis.restart();
    await heals();
  });
});

describe("the end", () => {
  it("leaves no process, cgroup or mount behind", async () => {
    const other = await Platform.start();
    const address = await other.deployFiles("f", SLOW);
    assert.equal(await (await fetch(address)).text(), "done");
    const [worker] = other.workers;
    assert.ok(worker);
    const zygotes = other.zygotes(worker);
    const family = descendantsOf(worker.pid as number);
    assert.ok(family.length > zygotes.length, "no sandbox was found");
    await other.stop();
    for (const pid of family) assert.equal(existsSync(`/proc/${pid}`), false, `process ${pid} is left`);
    for (const pid of zygotes) assert.deepEqual(groupsOf(pid), []);
    assert.doesNotMatch(readFileSync("/proc/self/mountinfo", "utf8"), /sandpiper/);
  });
});

/** Pids of all processes below one. */
function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

/** The cgroups that carry a zygote's pid in their name, in any hierarchy. */
function groupsOf(zygote: number): string[] {
  const roots = readFileSync("/proc/self/mountinfo", "utf8").matchAll(/ (\/sys\/fs\/cgroup\S*) .* - cgroup2? /g);
  return Array.from(roots, ([, mount]) => mount ?? "").flatMap((mount) =>
    readdirSync(mount, { recursive: true, encoding: "utf8" }).filter(
      (path) => path.includes("sandpiper") && path.split(/[/.-]/).includes(String(zygote)),
    ),
  );
}
