/**
 * A worker and a gateway that hang under `npm start`: noticed, ended and replaced, their callers
 * told, nothing left.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { cli } from "../helpers/cli.ts";
import { eventually } from "../helpers/eventually.ts";
import { childrenOf } from "../helpers/platform.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { Up } from "../helpers/up.ts";

const SLOW = `
  export default async (request: Request) => {
    if (!request.url.endsWith("wait")) return new Response("quick");
    console.log("in course");
    await new Promise((resolve) => setTimeout(resolve, 55_000));
    return new Response("slow");
  };`;

let up: Up;
let url = "";
before(async () => {
  up = new Up(tempDir(), ["--port", "0"], { SANDPIPER_HANG_LIMIT_MS: "4000" });
  await up.says(/Ctrl-C stops it/);
  url = (await up.says(/Gateway {4}(\S+)/))[1] as string;
  const project = join(tempDir(), "slow");
  mkdirSync(project);
  writeFileSync(join(project, "index.ts"), SLOW);
  writeFileSync(join(project, "sandpiper.jsonc"), JSON.stringify({ name: "slow", timeoutMs: 60_000 }));
  const { code, stderr } = await command(["deploy", project]);
  assert.equal(code, 0, stderr);
});
after(async () => {
  up.processes();
  up.ctrlC();
  await up.exited;
  assert.deepEqual(up.remains(), []);
});

function command(args: string[]) {
  const key = readFileSync(join(up.dataDir, "api-key"), "utf8").trim();
  return cli(args, { cwd: up.dataDir, env: { SANDPIPER_URL: url, SANDPIPER_API_KEY: key } });
}

/** Status and error of a call, or null when no gateway answered. */
async function call(path: string): Promise<{ status: number; code: string | null } | null> {
  const response = await fetch(`${url}/fn/main/slow/${path}`).catch(() => null);
  if (response === null) return null;
  const text = await response.text();
  return { status: response.status, code: response.ok ? null : JSON.parse(text).error.code };
}

async function heals(): Promise<void> {
  await eventually(async () => (await call(""))?.status === 200);
}

/** Pids of all processes below one. */
function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

test("a worker that was stopped is killed and replaced, its callers are told, its sandboxes end", async () => {
  const lost = call("wait");
  await eventually(async () => (await command(["logs", "slow"])).stdout.includes("in course"));
  const worker = up.pidOf(/worker\/main\.ts/);
  const family = descendantsOf(worker);
  assert.ok(family.length >= 2, "no zygote with a sandbox was found");
  process.kill(worker, "SIGSTOP");
  await up.says(/the worker ended with SIGKILL because it hung: no sign of life .* was stopped by a signal; starting/);
  assert.deepEqual(await lost, { status: 503, code: "WORKER_LOST" });
  await up.says(/the worker is back/);
  await heals();
  for (const pid of [worker, ...family]) await eventually(() => !existsSync(`/proc/${pid}`));
});

test("a gateway that was stopped is killed and replaced at its port", async () => {
  process.kill(up.pidOf(/gateway\/main\.ts/), "SIGSTOP");
  await up.says(/the gateway ended with SIGKILL because it hung: no sign of life .* was stopped by a signal; starting/);
  await up.says(/the gateway is back/);
  await heals();
});
