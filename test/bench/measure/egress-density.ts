/** Many sandboxes at once, without egress and with: what they take, and what is left after them. */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { SandboxEgress } from "../../../sandbox-core/contract/egress.ts";
import type { EgressRelay } from "../../../sandbox-core/launcher/egress-relay.ts";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { SandboxClient } from "../../helpers/sandbox-client.ts";
import { THREE_PORTS } from "../peers/networks.ts";
import { perSecond } from "./blocks.ts";
import { countKernelObjects } from "./kernel-objects.ts";
import { kernelMemory, memoryOf } from "./memory.ts";
import type { Sheet } from "./sheet.ts";
import { Samples } from "./stats.ts";

const LANES = 2;
/** Of the memory that is free, and of the descriptors of this process, that they may take. */
const PART = 0.5;
const MIB_EACH = 4;
const DESCRIPTORS_EACH = 10;
const LOOK_MS = 50;

interface Parts {
  launcher: ZygoteLauncher;
  zygotePid: number;
  relay: EgressRelay;
  /** The kernel ends namespaces and groups in its own time; what is there later is left. */
  settleMs: number;
}

/** The state at a moment: memory in MiB, and how many of each object. */
type Figures = Record<(typeof MEMORY)[number] | (typeof OBJECTS)[number], number>;

const MEMORY = ["holder", "zygote", "relay", "slab of the kernel", "the kernel's in all"] as const;
const OBJECTS = ["descriptors", "TCP sockets", "network namespaces", "control groups"] as const;

/** As many as are wanted, or as there is room for. */
export function affordable(wanted: number): number {
  const free = Number(/^MemAvailable:\s+(\d+) kB/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1] ?? 0) / 1_024;
  const limit = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? "0";
  return Math.floor(Math.min(wanted, (free * PART) / MIB_EACH, (Number(limit) * PART) / DESCRIPTORS_EACH));
}

/** Measures so many sandboxes without egress, and then with. The relay has been started. */
export async function measureEgressDensity(parts: Parts, count: number, sheet: Sheet): Promise<void> {
  // What the first ones make for all of them is not charged to each.
  await live(parts, 1, true, figuresOf(parts));
  for (const withEgress of [false, true]) {
    const before = figuresOf(parts);
    const { during, after } = await live(parts, count, withEgress, before);
    const what = withEgress ? "with egress of 3 ports" : "without egress";
    const of = (name: keyof Figures, at: Figures) => sampleOf(at[name] - before[name]);
    sheet.row(`sandboxes at once, ${what}`, "objects", sampleOf(count));
    for (const name of MEMORY) sheet.row(`memory of all: ${name}, ${what}`, "MiB", of(name, during));
    for (const name of OBJECTS) sheet.row(`for all: ${name}, ${what}`, "objects", of(name, during));
    for (const name of OBJECTS) sheet.row(`left of all: ${name}, ${what}`, "objects", of(name, after));
  }
}

async function live(parts: Parts, count: number, withEgress: boolean, before: Figures) {
  const clients: SandboxClient[] = [];
  let egress: SandboxEgress | undefined;
  try {
    await perSecond(count, LANES, async () => {
      const client = await SandboxClient.blank(parts.launcher);
      clients.push(client);
      if (withEgress) egress = await parts.relay.open(client.sandbox, THREE_PORTS, () => undefined);
    });
    // The relay has taken all sockets when it answers.
    await egress?.told();
    return { during: figuresOf(parts), after: await endAll() };
  } finally {
    await endAll();
  }

  async function endAll(): Promise<Figures> {
    for (const { sandbox } of clients) sandbox.kill("they are counted");
    await Promise.all(clients.map(({ sandbox }) => sandbox.exited));
    return settled(parts, before);
  }
}

/** Figures once nothing is left, or after a while. */
async function settled(parts: Parts, before: Figures): Promise<Figures> {
  const endMs = performance.now() + parts.settleMs;
  for (;;) {
    const now = figuresOf(parts);
    if (OBJECTS.every((name) => now[name] <= before[name]) || performance.now() >= endMs) return now;
    await delay(LOOK_MS);
  }
}

function figuresOf({ zygotePid, relay }: Parts): Figures {
  const pids = { holder: process.pid, zygote: zygotePid, relay: relay.pid as number };
  const unique = (pid: number) => memoryOf([pid]).uniqueMiB;
  const { slabMiB, allMiB } = kernelMemory();
  const { networkNamespaces, groups } = countKernelObjects(zygotePid);
  const sockets = /^TCP: .*\balloc (\d+)/m.exec(readFileSync("/proc/net/sockstat", "utf8"))?.[1];
  return {
    holder: unique(pids.holder),
    zygote: unique(pids.zygote),
    relay: unique(pids.relay),
    "slab of the kernel": slabMiB,
    "the kernel's in all": allMiB,
    descriptors: Object.values(pids).reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0),
    "TCP sockets": Number(sockets),
    "network namespaces": networkNamespaces,
    "control groups": groups,
  };
}

function sampleOf(value: number): Samples {
  const samples = new Samples();
  samples.addRound([value]);
  return samples;
}
