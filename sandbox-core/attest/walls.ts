/**
 * The walls of a sandbox, one by one: what each is for, how its absence shows in a posture, and
 * whether a worker may run without it. Names are used by --allow-degraded, by refusals, by /readyz
 * and in docs/SECURITY-MODEL.md.
 */

import { tasksOfUser } from "../contract/task-limit.ts";
import { ATTEMPTS, type AttemptName, attempt } from "../fork/attempts.ts";
import { SCRATCH } from "../rootfs/scratch.ts";
import type { MountPosture, NamespaceKind, Posture } from "./posture.ts";

export interface Wall {
  name: string;
  /** The purpose of the wall: the end of "without it, ...". */
  without: string;
  /** The flaw in this posture, or null when the wall stands. */
  flaw(posture: Posture): string | null;
  /** Advice for when the wall is missing. */
  fix: string;
  /**
   * Why a worker may be allowed to do without it, for its operator to weigh; absent when it may
   * not.
   */
  degradable?: string;
}

const KERNEL = "Use a kernel that is built with it; `sandpiper doctor` shows what this one has.";
const CONTROLLERS = "Boot with the controller enabled, and mount cgroup2 on /sys/fs/cgroup.";

/** Between these, everything that a sandbox of JavaScript may hold open. */
const DESCRIPTORS = ["/dev/null", "socket", "pipe", "eventpoll", "eventfd", `/${SCRATCH}`];
/**
 * All that a sandbox may have mounted, as "type source"; a program has binds of the host's as well.
 */
const OWN_MOUNTS = ["overlay sandpiper", "tmpfs sandpiper", "tmpfs tmp", "proc proc"];
/** An overlay for JavaScript, a tmpfs with what is bound for a program. */
const ROOTS = ["overlay sandpiper", "tmpfs sandpiper"];
const SENDING = "send a descriptor to the worker" satisfies AttemptName;
/** Hard limits that hold for every sandbox, by their names in /proc/PID/limits. */
const MOST = { "core file size": 1, "open files": 65_536, "locked memory": 0, "realtime priority": 0 };

const namespace = (kind: NamespaceKind, name: string, without: string, degradable?: string): Wall => ({
  name,
  without,
  flaw: (posture) => {
    const { sandbox, host } = posture.namespaces[kind];
    if (sandbox === null) return `the kernel has no ${kind} namespaces`;
    return sandbox === host ? `its ${kind} namespace is the host's` : failedAttempt(posture, name);
  },
  fix: KERNEL,
  ...(degradable && { degradable }),
});

export const WALLS: readonly Wall[] = [
  namespace("user", "user-namespace", "capabilities inside a sandbox would count on the host"),
  namespace("mnt", "mount-namespace", "a sandbox would see the host's mounts"),
  namespace("pid", "pid-namespace", "a sandbox would see and signal the host's processes"),
  namespace("net", "network-namespace", "a sandbox would reach the host's network"),
  namespace("ipc", "ipc-namespace", "shared memory and message queues would be the host's"),
  namespace("uts", "uts-namespace", "the host's name would show"),
  namespace("cgroup", "cgroup-namespace", "the host's control groups would show"),
  namespace(
    "time",
    "time-namespace",
    "the clocks would belong to the host's namespace",
    "setting clocks takes a capability and system calls that no sandbox has",
  ),
  {
    name: "egress",
    without: "a sandbox could reach what its function does not declare, or would not reach what it does",
    flaw: (posture) =>
      failedAttempt(posture, "egress") ??
      (posture.egressReached ? null : "its connection to what is declared did not come to the relay's socket"),
    fix: "Use a kernel with policy for local routes as every distribution has it (CONFIG_INET), and let the worker make routes.",
    degradable: "functions that declare no egress have no network, with or without it",
  },
  {
    name: "user",
    without: "a sandbox could signal, trace or read what others of its user have",
    flaw: (posture) => flawOfUser(posture.user) ?? failedAttempt(posture, "user"),
    fix: "Give the worker a range of user ids of its own (SANDPIPER_UID_BASE) on a kernel with user namespaces.",
  },
  {
    name: "capabilities",
    without: "a sandbox could do what root does inside its namespaces",
    flaw: ({ capabilities }) => {
      const held = Object.entries(capabilities).filter(([, set]) => !/^0+$/.test(set));
      return held.length > 0
        ? `capabilities are left: ${held.map(([name, set]) => `${name} ${set}`).join(", ")}`
        : null;
    },
    fix: KERNEL,
  },
  {
    name: "no-new-privileges",
    without: "a set-user-id program could give a sandbox rights",
    flaw: ({ noNewPrivileges }) => (noNewPrivileges ? null : "new privileges may be had"),
    fix: KERNEL,
  },
  {
    name: "seccomp",
    without: "a sandbox could reach every system call of the kernel, rarely used and little tested ones too",
    flaw: (posture) => {
      const { mode, filters } = posture.seccomp;
      if (mode !== 2) return "there is no system-call filter";
      // The zygote's own filter is inherited: the sandbox's is the second.
      if (filters !== null && filters < 2) return "there is no system-call filter but the zygote's";
      return failedAttempt(posture, "seccomp");
    },
    fix: "Use a kernel from 4.14 on that is built with CONFIG_SECCOMP_FILTER.",
  },
  {
    name: "landlock",
    without: "a mount that is other than it was meant to be would open what it shows",
    flaw: flawOfLandlock,
    fix: "Use Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK, and landlock among the modules of the boot option lsm=.",
    degradable: "it repeats what mounts and namespaces keep already, should one of them be wrong",
  },
  {
    name: "root",
    without: "a sandbox would see or change files of the host",
    flaw: (posture) => flawOfMounts(posture.mounts, posture.launcher) ?? failedAttempt(posture, "root"),
    fix: KERNEL,
  },
  {
    name: "proc",
    without: "a sandbox would see what the kernel tells about the whole machine",
    flaw: (posture) => failedAttempt(posture, "proc"),
    fix: "Use Linux 5.8 or newer, whose proc can be mounted with subset=pid and hidepid=invisible.",
  },
  {
    name: "descriptors",
    without: "a sandbox could hold files, sockets or rings of the zygote's, or have the worker close files of its own",
    flaw: ({ descriptors, refusesDescriptors, attempts }) => {
      const foreign = Object.entries(descriptors).filter(([, kind]) => !DESCRIPTORS.includes(kind));
      if (foreign.length > 0) return `it holds ${foreign.map(([fd, kind]) => `${fd}: ${kind}`).join(", ")}`;
      // A kernel before Linux 6.16 cannot refuse it, and the filter leaves nothing whose close
      // waits.
      const sent = attempts[SENDING];
      return refusesDescriptors && sent !== "EPERM" ? `to ${SENDING} gave ${sent}, not EPERM` : null;
    },
    fix: "Report it: this Node or kernel opens something that the lock-in does not know.",
  },
  {
    name: "environment",
    without: "a sandbox could read the worker's environment",
    flaw: ({ environment }) => (environment === 0 ? null : `its environment has ${environment} bytes`),
    fix: "Report it.",
  },
  {
    name: "not-dumpable",
    without: "a core dump could leave a sandbox, and others of its user could read its memory",
    flaw: ({ dumpable }) => (dumpable ? "its memory can be dumped" : null),
    fix: KERNEL,
  },
  {
    name: "resource-limits",
    without: "a sandbox could use up what no control group counts",
    flaw: ({ resourceLimits, limits, launcher }) => {
      const most = { ...MOST, processes: tasksOfUser(limits.pids, launcher === "fork" ? "fork" : "program") };
      const over = Object.entries(most).filter(([name, value]) => (resourceLimits[name] ?? Infinity) > value);
      return over.length > 0 ? `no limit, or too high a one, on ${over.map(([name]) => name).join(", ")}` : null;
    },
    fix: KERNEL,
  },
  {
    name: "memory-limit",
    without: "a sandbox could use up the machine's memory",
    flaw: ({ cgroup, limits }) => overLimit("memory", cgroup.memoryBytes, limits.memoryBytes),
    fix: CONTROLLERS,
  },
  {
    name: "socket-memory",
    without: "connections that nobody accepts could take the machine's memory, which is charged to no control group",
    flaw: (posture) => failedAttempt(posture, "socket-memory"),
    fix: "Let the worker write to /proc/sys/net: no read-only /proc/sys (ProtectKernelTunables) for it.",
  },
  {
    name: "swap-limit",
    without: "a sandbox that is out of memory could go on in the machine's swap, slowing all others down",
    flaw: ({ cgroup }) => overLimit("swap", cgroup.swapBytes, 0),
    fix: "Boot with swapaccount=1, or without swap.",
    degradable: "memory itself stays bounded, and without swap space on the machine nothing is lost",
  },
  {
    name: "cpu-limit",
    without: "a sandbox could take more than its share of the processors",
    flaw: ({ cgroup, limits }) => overLimit("processor time", cgroup.cpus, limits.cpus),
    fix: CONTROLLERS,
  },
  {
    name: "task-limit",
    without: "a fork bomb could use up the machine's process ids",
    flaw: ({ cgroup, limits }) => overLimit("tasks", cgroup.tasks, limits.pids),
    fix: CONTROLLERS,
  },
];

export const DEGRADABLE: readonly string[] = WALLS.filter(({ degradable }) => degradable).map(({ name }) => name);

/** The attempts of this wall that did not fail as they should. */
function failedAttempt({ attempts, launcher }: Posture, wall: string): string | null {
  for (const name of Object.keys(ATTEMPTS) as AttemptName[]) {
    const { wall: tried, expected, forksOnly } = attempt(name);
    if (tried !== wall || expected === null || (forksOnly && launcher !== "fork")) continue;
    const result = attempts[name];
    if (result === undefined) return `to ${name} was not tried`;
    if (result !== expected) return `to ${name} gave ${result}, not ${expected}`;
  }
  return null;
}

function flawOfUser({ given, uids, gids, groups, uidMap, gidMap, setgroups }: Posture["user"]): string | null {
  if (given === 0 || [...uids, ...gids].some((id) => id !== given)) return `it runs as user ${uids}, group ${gids}`;
  if (groups.length > 0) return `it is in the groups ${groups}`;
  if (setgroups !== "deny") return "it may change its groups";
  const maps = [uidMap, gidMap].filter((map) => !new RegExp(`^\\d+ ${given} 1$`).test(map));
  return maps.length > 0 ? `its user namespace maps ${maps}` : null;
}

/**
 * Landlock shows nowhere in /proc. Landlock's own refusals depend on its version: from 5 on an
 * ioctl on a device, in 1 a rename between directories. In between the kernel's word for having put
 * it on is all there is.
 */
function flawOfLandlock({ landlock, attempts }: Posture): string | null {
  const { abi } = landlock;
  if (abi === 0) return "the kernel has no Landlock, or it is not enabled";
  const [name, expected]: [AttemptName, string] =
    abi === 1 ? ["move a file to another directory", "EXDEV"] : ["use a device's ioctl", abi < 5 ? "ENOTTY" : "EACCES"];
  return attempts[name] === expected ? null : `to ${name} gave ${attempts[name]}, not ${expected}`;
}

function flawOfMounts(mounts: readonly MountPosture[], launcher: Posture["launcher"]): string | null {
  const root = mounts.find(({ point }) => point === "/");
  if (!root || !ROOTS.includes(`${root.type} ${root.source}`) || !root.options.includes("ro"))
    return "its root is not one that was made for it, read-only";
  for (const { point, type, source, options } of mounts) {
    const lacking = neededOptions(point, launcher).filter((option) => !options.includes(option));
    if (lacking.length > 0) return `${point} is mounted without ${lacking.join(", ")}`;
    if (launcher === "fork" && !OWN_MOUNTS.includes(`${type} ${source}`))
      return `${point} is ${source} of the type ${type}`;
  }
  return null;
}

function neededOptions(point: string, launcher: Posture["launcher"]): string[] {
  return [
    "nosuid",
    ...(point === "/dev" || point.startsWith("/dev/") ? [] : ["nodev"]),
    ...(point === "/tmp" || point === `/${SCRATCH}` || point.startsWith("/dev/") ? [] : ["ro"]),
    // A bind of a program's may be a program itself.
    ...(launcher === "fork" ? ["noexec"] : []),
  ];
}

function overLimit(what: string, found: number | null, most: number): string | null {
  if (found === null) return `${what} is not bounded`;
  return found > most ? `${what} is bounded by ${found} only, not by ${most}` : null;
}
