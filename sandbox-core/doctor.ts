/** What this machine offers for isolation, fact by fact, and what to do about what is missing. */
import { once } from "node:events";
import { readFileSync, readlinkSync } from "node:fs";
import { release, totalmem } from "node:os";
import type { Sandbox } from "./index.ts";

export interface MachineCheck {
  name: string;
  ok: boolean;
  detail: string;
  /** What to do when it is not. */
  fix: string | null;
}

const MIB = 1024 * 1024;
const NODE_MAJOR = 24;
/** Eight walls: each must differ between host and sandbox. */
const NAMESPACES = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"] as const;
const SECCOMP_ACTIONS = ["kill_process", "errno", "allow"];
const MIN_MEMORY_BYTES = 512 * MIB;
/** Host uids for the sandbox that is tried, away from those that a worker uses by default. */
const TRIAL_UIDS = { uidBase: 900_000, uidCount: 65_536 };
const TRIAL_LIMITS = { memoryBytes: 128 * MIB, cpus: 1, pids: 64, tmpBytes: 8 * MIB, tmpInodes: 100 };

/** Looks at everything that a sandbox needs, and at last makes one. Never throws. */
export async function inspectMachine(): Promise<MachineCheck[]> {
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
    ...NAMESPACES.map(namespace),
    await cgroups(),
    seccomp(),
    await landlock(),
  ];
  return [...facts, ...(await trial())];
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

function namespace(kind: (typeof NAMESPACES)[number]): MachineCheck {
  const name = `namespace ${kind}`;
  const link = attempt(() => readlinkSync(`/proc/self/ns/${kind}`));
  if (link === null)
    return bad(name, "the kernel has none", "Use a kernel that is built with namespaces (CONFIG_NAMESPACES).");
  const setting = `/proc/sys/user/max_${kind}_namespaces`;
  const limit = attempt(() => readFileSync(setting, "utf8").trim());
  if (limit === "0") return bad(name, `${setting} is 0`, `Allow them: sysctl user.max_${kind}_namespaces=10000`);
  return good(name, limit === null ? "there" : `there, at most ${limit}`);
}

async function cgroups(): Promise<MachineCheck> {
  try {
    const { detectCgroups } = await import("./cgroup/detect.ts");
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

/** A second wall around files, put up as far as the kernel can: what is behind it is behind others as well. */
async function landlock(): Promise<MachineCheck> {
  try {
    const { landlockAbi } = await import("./syscall/landlock.ts");
    const { landlockWalls } = await import("./rootfs/access.ts");
    const abi = landlockAbi();
    return good("landlock", abi === 0 ? "none; sandboxes do without" : `ABI ${abi}: ${landlockWalls(abi).join(", ")}`);
  } catch (error) {
    return bad(
      "system calls",
      messageOf(error),
      "Install again for this machine: npm ci. koffi must fit system and architecture.",
    );
  }
}

/** Makes a sandbox in each way there is, and looks at it from outside. */
async function trial(): Promise<MachineCheck[]> {
  if (process.getuid?.() !== 0)
    return [bad("sandbox", "not tried without root", "Run it as root: sudo sandpiper doctor")];
  try {
    const { openLauncher } = await import("./launchers.ts");
    const launcher = await openLauncher({ memoryMiB: 128, ...TRIAL_UIDS, kind: "fork" });
    try {
      const lives = await launcher.selftest();
      if (!lives)
        return [
          bad(
            "fork",
            "a fork of Node does not live",
            "Nothing need be done: workers start a fresh process for each sandbox, which is slower.",
          ),
        ];
      return [
        good("fork", "a fork of Node allocates, collects and compiles"),
        await look(await launcher.launch(TRIAL_LIMITS)),
      ];
    } finally {
      await launcher.close();
    }
  } catch (error) {
    return [
      bad("sandbox", messageOf(error), "The message names what the kernel refused; the lines above may say why."),
    ];
  }
}

/** Compares a sandbox with ourselves, through /proc: proc_pid_status(5), namespaces(7). */
async function look(sandbox: Sandbox): Promise<MachineCheck> {
  // The runtime's first word says that it is locked in. One that dies instead closes its wire.
  await Promise.race([once(sandbox.wire, "data"), once(sandbox.wire, "close")]);
  const status = readFileSync(`/proc/${sandbox.pid}/status`, "utf8");
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? "";
  const walls: [string, boolean][] = [
    ...NAMESPACES.map((kind): [string, boolean] => [
      `its own ${kind} namespace`,
      readlinkSync(`/proc/${sandbox.pid}/ns/${kind}`) !== readlinkSync(`/proc/self/ns/${kind}`),
    ]),
    ["no capability", ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].every((set) => /^0+$/.test(field(set)))],
    ["a system-call filter", field("Seccomp") === "2"],
    ["no new privileges", field("NoNewPrivs") === "1"],
    ["a user of its own", field("Uid") === String(sandbox.hostUid) && sandbox.hostUid !== 0],
  ];
  sandbox.kill("looked at");
  await sandbox.exited;
  const missing = walls.filter(([, stands]) => !stands).map(([wall]) => wall);
  if (missing.length === 0) return good("sandbox", walls.map(([wall]) => wall).join(", "));
  return bad("sandbox", `without ${missing.join(", ")}`, "Do not run code of strangers on this machine; report it.");
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
