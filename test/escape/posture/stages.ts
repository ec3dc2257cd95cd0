/** Sandboxes of every kind at every stage of their life, and what /proc shows of them. */
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Sandbox } from "../../../sandbox-core/contract/sandbox.ts";
import { programBinds, programPath } from "../../../sandbox-core/host/open.ts";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { eventually } from "../../helpers/eventually.ts";
import { LIMITS, openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";
import { type Owner, readCgroups, readHidden, readRoot, readTask, type TaskPosture } from "./task.ts";

/** By stage, task and section. */
export type Postures = Record<string, Record<string, TaskPosture>>;

export const INVOCATIONS = 500;

/**
 * Does of everything a little: files, threads of the pool, timers, randomness, sockets, a server.
 */
const BUSY = `
  import * as fs from "node:fs/promises";
  import * as net from "node:net";
  import { once } from "node:events";
  import { promisify } from "node:util";
  import * as crypto from "node:crypto";
  import * as zlib from "node:zlib";
  export default async () => {
    await fs.writeFile("/tmp/a", crypto.randomBytes(100));
    await promisify(zlib.gzip)(await fs.readFile("/tmp/a"));
    const server = net.createServer((socket) => socket.end("x")).listen("/tmp/socket");
    await once(server, "listening");
    const client = net.connect("/tmp/socket").resume();
    await once(client, "close");
    await new Promise((done) => server.close(done));
    await fs.unlink("/tmp/a");
    return new Response("done");
  };`;

/** Begins its answer when it has done all that, and never ends it. */
const BUSY_FOR_EVER = BUSY.replace('new Response("done")', "new Response(new ReadableStream())");

/**
 * Postures at every stage of a forked sandbox, of a template with a fork, of a blank sandbox of the
 * exec launcher, and of a program.
 */
export async function readAllStages(): Promise<Postures> {
  const fork = await openTestLauncher();
  const exec = await openTestLauncher({ kind: "exec" });
  try {
    return factored({
      ...(await forkStages(fork)),
      ...(await templateStages(fork)),
      ...(await execStages(exec)),
      ...(await programStages(fork)),
    });
  } finally {
    await Promise.all([fork.close(), exec.close()]);
  }
}

async function forkStages(launcher: ZygoteLauncher): Promise<Postures> {
  await using client = await SandboxClient.blank(launcher);
  const zygotePid = await launcher.zygotePid();
  const blank = readSandbox(client.sandbox, zygotePid);
  await client.load(BUSY);
  const loaded = readSandbox(client.sandbox, zygotePid);
  for (let call = 0; call < INVOCATIONS; call++) {
    const text = await client.text();
    if (text !== "done") throw new Error(`invocation ${call} answered ${text}`);
  }
  return { "fork, blank": blank, "fork, loaded": loaded, "fork, used": readSandbox(client.sandbox, zygotePid) };
}

/** A template, and a fork of it in the middle of a call: both are tasks of one sandbox. */
async function templateStages(launcher: ZygoteLauncher): Promise<Postures> {
  await using client = await SandboxClient.template(launcher, BUSY_FOR_EVER);
  const fork = await client.fork();
  fork.request();
  await fork.next("head");
  return { "fork, template": readSandbox(client.sandbox, await launcher.zygotePid()) };
}

async function execStages(launcher: ZygoteLauncher): Promise<Postures> {
  await using client = await SandboxClient.blank(launcher, { memoryBytes: 2 * LIMITS.memoryBytes });
  await eventually(() => processesBeside(client.sandbox.pid).every(haveThreadsBegun));
  return { "exec, blank": readSandbox(client.sandbox, await launcher.zygotePid()) };
}

/**
 * A thread has its maker's name until it has begun, and blocks no signal yet: it looks like none of
 * those that it will be like.
 */
function haveThreadsBegun(pid: number): boolean {
  const others = readdirSync(`/proc/${pid}/task`).filter((tid) => Number(tid) !== pid);
  return others.every((tid) => readFileSync(`/proc/${pid}/task/${tid}/comm`, "utf8").trim() !== "MainThread");
}

/** `cat`: what comes back says that it runs, and then it waits for more. */
async function programStages(launcher: ZygoteLauncher): Promise<Postures> {
  const binary = "/usr/bin/cat";
  const sandbox = await launcher.start({
    limits: LIMITS,
    connections: [{ name: "terminal", fds: [0, 1, 2] }],
    program: {
      argv: [programPath(binary)],
      env: { NAME: "value" },
      binds: programBinds(binary, loaderAndLibrary()),
      workingDirectory: "/tmp",
    },
  });
  sandbox.socket("terminal").write("x");
  await once(sandbox.socket("terminal"), "data");
  const posture = readSandbox(sandbox, await launcher.zygotePid());
  sandbox.kill("the test is over");
  await sandbox.exited;
  return { program: posture };
}

/** The dynamic loader and the C library, where this process has them from. */
export function loaderAndLibrary(): string[] {
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] };
  return sharedObjects.filter((path) => /\/(ld-linux[^/]*|libc)\.so/.test(path));
}

/**
 * Tasks in a sandbox's pid namespace as /proc shows them; those that look alike are told once.
 */
export function readSandbox(
  sandbox: Pick<Sandbox, "id" | "pid" | "hostUid">,
  zygotePid: number,
): Record<string, TaskPosture> {
  const owner = { id: sandbox.id, hostUid: sandbox.hostUid, pid: sandbox.pid, zygotePid };
  const tasks = processesBeside(sandbox.pid).flatMap((pid) =>
    readdirSync(`/proc/${pid}/task`).map((tid) => `/proc/${pid}/task/${tid}`),
  );
  const postures = tasks.flatMap((directory) => readIfThere(directory, owner));
  const [first, ...others] = postures;
  if (!first) throw new Error(`sandbox ${sandbox.id} has no task`);
  const distinct = new Map(others.map((posture) => [JSON.stringify(posture), posture]));
  return Object.fromEntries([
    ["the first task", first],
    ...[...distinct.keys()].sort().map((key, index) => [`another task, ${index + 1}`, distinct.get(key)]),
  ]);
}

/** A thread may end while it is read; whatever it was allowed, it is no more. */
function readIfThere(directory: string, owner: Owner): TaskPosture[] {
  try {
    return [
      {
        ...readTask(directory, owner),
        cgroup: readCgroups(directory, owner),
        files: readRoot(directory, owner),
        hidden: readHidden(directory),
      },
    ];
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}

/** The first process of a pid namespace and all others in it. */
function processesBeside(init: number): number[] {
  const namespace = readlinkSync(`/proc/${init}/ns/pid`);
  const isBeside = (pid: number) => {
    try {
      return pid !== init && readlinkSync(`/proc/${pid}/ns/pid`) === namespace;
    } catch {
      return false;
    }
  };
  return [init, ...readdirSync("/proc").map(Number).filter(isBeside)];
}

/**
 * The same, with each section told once that equals its stage's first task's, or that of the very
 * first.
 */
function factored(postures: Postures): Postures {
  const firstOf = (stage: Record<string, TaskPosture> = {}) => Object.values(stage)[0];
  const blank = firstOf(Object.values(postures)[0]);
  const same = (task: TaskPosture, other: TaskPosture | undefined, section: string) =>
    task !== other && JSON.stringify(task[section]) === JSON.stringify(other?.[section]);
  const factor = (task: TaskPosture, first: TaskPosture | undefined) =>
    mapValues(task, (section, name) => {
      if (same(task, first, name)) return "as its first task";
      return same(task, blank, name) ? "as a blank fork" : section;
    });
  return mapValues(postures, (stage) => mapValues(stage, (task) => factor(task, firstOf(stage))));
}

function mapValues<In, Out>(record: Record<string, In>, mapper: (value: In, name: string) => Out): Record<string, Out> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, mapper(value, name)]));
}
