/**
 * Memory: of sandboxes that wait, that are loaded, and that have served many calls; of idle
 * processes and isolates of others.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { childrenOf } from "../../helpers/platform.ts";
import { openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { kernelMemory, memoryOf } from "../measure/memory.ts";
import { descendantsOf } from "../measure/processes.ts";
import { Sheet } from "../measure/sheet.ts";
import { Samples } from "../measure/stats.ts";
import type { Peers } from "../peers/peers.ts";
import { ServerHome } from "../peers/server.ts";
import { DENO, workerdConfiguration, workerdKind } from "../peers/servers.ts";
import type { Plan } from "../run/plan.ts";
import type { Suite, Unit } from "../run/suite.ts";

const suite = "density";
const GIB_IN_MIB = 1_024;
const HELLO = 'export default { fetch: () => new Response("Hello, world!\\n") };';
/** Says when it has nothing more to do, and goes on doing nothing. */
const IDLE = 'console.log("idle"); setInterval(() => {}, 1e9);';
/** Instances that are loaded: they are all alike. */
const MOST_LOADED = 50;

export async function openDensitySuite(plan: Plan, peers: Peers): Promise<Suite> {
  const launcher = await openTestLauncher();
  const zygotePid = childrenOf(process.pid).at(-1) as number;
  const sheet = new Sheet(suite);
  return {
    async round() {},
    async finish() {
      await measureSandboxes(launcher, zygotePid, plan, sheet);
      await measureLoaded(launcher, plan, sheet);
      const { processes, isolates } = plan.density;
      await measureProcesses(sheet, "idle node", processes, [process.execPath, "-e", IDLE]);
      await measurePeer(sheet, "idle deno", async () => {
        const program = join(await peers.find("deno"), DENO);
        await measureProcesses(sheet, "idle deno", processes, [program, "eval", "--quiet", IDLE]);
      });
      await measurePeer(sheet, "a worker of workerd", () => measureIsolates(sheet, peers, isolates));
    },
    results: () => sheet.results,
    close: () => launcher.close(),
  };
}

async function measurePeer(sheet: Sheet, name: string, measure: () => Promise<void>): Promise<void> {
  try {
    await measure();
  } catch (error) {
    sheet.missing(name, (error as Error).message);
  }
}

async function measureSandboxes(launcher: ZygoteLauncher, zygotePid: number, plan: Plan, sheet: Sheet): Promise<void> {
  const count = plan.density.sandboxes;
  // What the first one makes for all of them is not charged to each.
  await using _first = await SandboxClient.blank(launcher);
  const before = kernelMemory();
  await using started = new AsyncDisposableStack();
  const clients: SandboxClient[] = [];
  for (let index = 0; index < count; index++) clients.push(started.use(await SandboxClient.blank(launcher)));
  const memory = () => clients.map(({ sandbox }) => memoryOf([sandbox.pid, ...descendantsOf(sandbox.pid)]));
  const made = memory().map(({ uniqueMiB }) => uniqueMiB);
  write(sheet, "sandbox just made, unique", "MiB", made);
  // What a process does of itself when it has nothing to do takes memory, too.
  await delay(plan.density.idleMs);
  const after = kernelMemory();
  const each = memory();
  const kernelMiB = (after.allMiB - before.allMiB) / count;
  const unique = each.map(({ uniqueMiB }) => uniqueMiB);
  write(sheet, "idle sandbox, unique", "MiB", unique);
  write(
    sheet,
    "idle sandbox, proportional",
    "MiB",
    each.map(({ proportionalMiB }) => proportionalMiB),
  );
  write(sheet, "idle sandbox, slab of the kernel", "MiB", [(after.slabMiB - before.slabMiB) / count]);
  write(sheet, "idle sandbox, the kernel's in all", "MiB", [kernelMiB]);
  const zygoteMiB = memoryOf([zygotePid]).proportionalMiB;
  const medianMiB = samplesOf(unique).quantile(0.5) + kernelMiB;
  write(sheet, "idle sandboxes beside their zygote", "per GiB", [Math.floor((GIB_IN_MIB - zygoteMiB) / medianMiB)]);
}

async function measureLoaded(launcher: ZygoteLauncher, plan: Plan, sheet: Sheet): Promise<void> {
  const { sandboxes, calls } = plan.density;
  await using started = new AsyncDisposableStack();
  const clients: SandboxClient[] = [];
  for (let index = 0; index < Math.min(sandboxes, MOST_LOADED); index++) {
    const client = started.use(await SandboxClient.with(launcher, HELLO));
    await client.text();
    clients.push(client);
  }
  const memory = (client: SandboxClient) => memoryOf([client.sandbox.pid, ...descendantsOf(client.sandbox.pid)]);
  const loaded = clients.map(memory);
  const uniqueOf = (all: readonly { uniqueMiB: number }[]) => all.map(({ uniqueMiB }) => uniqueMiB);
  write(sheet, "loaded instance, unique", "MiB", uniqueOf(loaded));
  write(
    sheet,
    "loaded instance, proportional",
    "MiB",
    loaded.map(({ proportionalMiB }) => proportionalMiB),
  );
  const [busy] = clients;
  if (busy === undefined) return;
  const endMs = performance.now() + plan.density.callsMs;
  let made = 0;
  for (; made < calls && performance.now() < endMs; made++) await busy.text();
  write(sheet, `instance after ${made.toLocaleString("en")} calls, unique`, "MiB", uniqueOf([memory(busy)]));
}

/** So many of one program, each idle. */
async function measureProcesses(sheet: Sheet, name: string, count: number, argv: readonly string[]): Promise<void> {
  const [program = "", ...args] = argv;
  const children: ChildProcess[] = [];
  try {
    for (let index = 0; index < count; index++) {
      const env = { DENO_DIR: tempDir() };
      const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "ignore"] });
      children.push(child);
      await Promise.race([once(child.stdout, "data"), once(child, "exit").then(() => Promise.reject(ended(name)))]);
    }
    const each = children.map(({ pid }) => memoryOf([pid as number]));
    const [unique, proportional] = [
      each.map(({ uniqueMiB }) => uniqueMiB),
      each.map(({ proportionalMiB }) => proportionalMiB),
    ];
    write(sheet, `${name}, unique`, "MiB", unique, true);
    write(sheet, `${name}, proportional`, "MiB", proportional, true);
    const fit = Math.floor(GIB_IN_MIB / samplesOf(unique).quantile(0.5));
    write(sheet, `processes of ${name}`, "per GiB", [fit], true);
  } finally {
    for (const child of children) child.kill("SIGKILL");
  }
}

function ended(name: string): Error {
  return new Error(`${name} ended before it was idle`);
}

/**
 * One process with many workers, each called once: what each adds to what the process has with one.
 */
async function measureIsolates(sheet: Sheet, peers: Peers, count: number): Promise<void> {
  const uniqueWith = async (workers: number): Promise<number> => {
    const kind = workerdKind((port) => workerdConfiguration(port, workers));
    const home = await ServerHome.open(kind, peers);
    try {
      const server = await home.start();
      for (let index = 1; index < workers; index++) await callSocket(join(home.directory, `w${index}.sock`));
      const { uniqueMiB } = memoryOf(server.pids());
      await server.stop();
      return uniqueMiB;
    } finally {
      home.close();
    }
  };
  const eachMiB = ((await uniqueWith(count)) - (await uniqueWith(1))) / (count - 1);
  write(sheet, `a worker of workerd among ${count}, unique`, "MiB", [eachMiB], true);
  write(sheet, "workers of workerd", "per GiB", [Math.floor(GIB_IN_MIB / eachMiB)], true);
}

async function callSocket(socketPath: string): Promise<void> {
  const call = request({ socketPath, headers: { host: "localhost" } }).end();
  const [response] = await once(call, "response");
  await text(response);
}

function write(sheet: Sheet, name: string, unit: Unit, values: readonly number[], peer = false): void {
  sheet.row(name, unit, samplesOf(values), { peer, chart: unit === "MiB" ? "memory" : "how many fit" });
}

function samplesOf(values: readonly number[]): Samples {
  const samples = new Samples();
  samples.addRound(values);
  return samples;
}
