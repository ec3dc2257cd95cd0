/** This machine's means of isolation, fact by fact, with advice for those that are missing. */
import { readFileSync, readlinkSync } from "node:fs";
import { release, totalmem } from "node:os";
import type { WallReport } from "../attest/report.ts";

export interface MachineCheck {
  name: string;
  ok: boolean;
  detail: string;
  /** Advice for when the fact does not hold. */
  fix: string | null;
  /** How many sandboxes the machine can have by this limit; absent where it is none. */
  sandboxes?: number;
}

const MIB = 1024 * 1024;
const NODE_MAJOR = 24;
/** Eight walls: each must differ between host and sandbox. */
const NAMESPACES = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"] as const;
const SECCOMP_ACTIONS = ["kill_process", "errno", "allow"];
const MIN_MEMORY_BYTES = 512 * MIB;

/**
 * Looks at everything that a sandbox needs, and at last makes one. Never throws.
 * @param allowed walls that may be missing
 * @param uidCount host users that there are for sandboxes
 */
export async function inspectMachine(allowed: readonly string[], uidCount: number): Promise<MachineCheck[]> {
  if (process.platform !== "linux") {
    return [
      bad("system", `${process.platform} is not Linux`, "Sandboxes are made by the Linux kernel: use a Linux machine."),
    ];
  }
  const facts = [
    good("system", `Linux ${release()}, ${process.arch}`),
    root(),
    node(),
    memory(),
    ...NAMESPACES.map((kind) => namespace(kind, allowed)),
    await cgroups(),
    seccomp(),
    await landlock(allowed),
  ];
  return [...facts, ...(await trial(allowed)), ...(await capacity(uidCount))];
}

function root(): MachineCheck {
  const uid = process.getuid?.();
  if (uid === 0) return good("root", "this process may make sandboxes");
  return bad("root", `this process is user ${uid}`, "Run it as root: sudo sandpiper doctor");
}

function node(): MachineCheck {
  const [major] = process.versions.node.split(".");
  if (Number(major) === NODE_MAJOR) return good("node", process.version);
  return bad(
    "node",
    process.version,
    `Run it on Node ${NODE_MAJOR}, which npm installs here: npm ci, then npx sandpiper.`,
  );
}

function memory(): MachineCheck {
  const bytes = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  const detail = `${Math.floor(bytes / MIB)} MiB`;
  if (bytes >= MIN_MEMORY_BYTES) return good("memory", detail);
  return bad("memory", detail, `Give the machine at least ${MIN_MEMORY_BYTES / MIB} MiB.`);
}

function namespace(kind: (typeof NAMESPACES)[number], allowed: readonly string[]): MachineCheck {
  const name = `namespace ${kind}`;
  const link = attempt(() => readlinkSync(`/proc/self/ns/${kind}`));
  if (link === null && allowed.includes(`${kind}-namespace`))
    return good(name, "the kernel has none; sandboxes do without, as is allowed");
  if (link === null)
    return bad(name, "the kernel has none", "Use a kernel that is built with namespaces (CONFIG_NAMESPACES).");
  const setting = `/proc/sys/user/max_${kind}_namespaces`;
  const limit = attempt(() => readFileSync(setting, "utf8").trim());
  if (limit === "0") return bad(name, `${setting} is 0`, `Allow them: sysctl user.max_${kind}_namespaces=10000`);
  return good(name, limit === null ? "there" : `there, at most ${limit}`);
}

async function cgroups(): Promise<MachineCheck> {
  try {
    const { detectCgroups } = await import("../cgroup/detect.ts");
    return good("cgroups", `version ${detectCgroups().version}, with memory, cpu and pids`);
  } catch (error) {
    return bad("cgroups", messageOf(error), "Mount cgroup2 on /sys/fs/cgroup, or boot with the controllers enabled.");
  }
}

function seccomp(): MachineCheck {
  const actions = attempt(() => readFileSync("/proc/sys/kernel/seccomp/actions_avail", "utf8").trim());
  if (actions !== null && SECCOMP_ACTIONS.every((action) => actions.split(" ").includes(action)))
    return good("seccomp", actions);
  return bad(
    "seccomp",
    actions ?? "the kernel has none",
    "Use a kernel from 4.14 on that is built with CONFIG_SECCOMP_FILTER.",
  );
}

/**
 * A second wall around files, put up as far as the kernel can: what is behind it is behind others
 * as well.
 */
async function landlock(allowed: readonly string[]): Promise<MachineCheck> {
  try {
    const { landlockAbi } = await import("../syscall/landlock.ts");
    const { landlockWalls } = await import("../rootfs/access.ts");
    const abi = landlockAbi();
    if (abi > 0) return good("landlock", `ABI ${abi}: ${landlockWalls(abi).join(", ")}`);
    if (allowed.includes("landlock")) return good("landlock", "none; sandboxes do without, as is allowed");
    const fix = "Use Linux 5.13 or newer, with landlock among the modules of the boot option lsm=.";
    return bad("landlock", "the kernel has none, or it is not enabled", fix);
  } catch (error) {
    return bad(
      "system calls",
      messageOf(error),
      "Install again for this machine: npm ci. koffi must fit system and architecture.",
    );
  }
}

/** Makes a sandbox as a worker would, and looks at every wall of it. */
async function trial(allowed: readonly string[]): Promise<MachineCheck[]> {
  if (process.getuid?.() !== 0)
    return [bad("sandbox", "not tried without root", "Run it as root: sudo sandpiper doctor")];
  try {
    const { tryIsolation } = await import("./trial.ts");
    const { walls } = await import("../attest/report.ts");
    const { attestation, fallback } = await tryIsolation();
    return [
      fallback === null
        ? good("fork", "a fork of Node allocates, collects and compiles")
        : bad("fork", fallback, "Nothing need be done: it works, and starts of sandboxes are slower."),
      ...judged(walls(attestation, allowed)),
    ];
  } catch (error) {
    return [
      bad("sandbox", messageOf(error), "The message names what the kernel refused; the lines above may say why."),
    ];
  }
}

/** A line for each limit, the lowest first. */
async function capacity(uidCount: number): Promise<MachineCheck[]> {
  try {
    const { capacities } = await import("./capacity.ts");
    return capacities(uidCount)
      .sort((a, b) => a.sandboxes - b.sandboxes)
      .map(({ of, sandboxes, detail }) => ({
        ...good(`sandboxes by ${of}`, `${sandboxes} at most: ${detail}`),
        sandboxes,
      }));
  } catch (error) {
    return [bad("sandboxes", messageOf(error), "Use x86-64 or arm64: there is no system-call filter for another.")];
  }
}

/** One line for all walls that stand, and one for each that does not. */
function judged(walls: readonly WallReport[]): MachineCheck[] {
  const standing = walls.filter(({ flaw }) => flaw === null).map(({ name }) => name);
  const missing = walls.flatMap(({ name, flaw, allowed, fix }): MachineCheck[] => {
    if (flaw === null) return [];
    if (allowed) return [good(`wall ${name}`, `degraded, as is allowed: ${flaw}`)];
    return [bad(`wall ${name}`, flaw, fix)];
  });
  return [...missing, good("sandbox", `these walls stand: ${standing.join(", ")}`)];
}

function good(name: string, detail: string): MachineCheck {
  return { name, ok: true, detail, fix: null };
}

function bad(name: string, detail: string, fix: string): MachineCheck {
  return { name, ok: false, detail, fix };
}

function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
