/**
 * The posture of a sandbox, as the kernel tells it: data, read from outside through /proc and tried
 * from inside.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import type { SandboxLimits } from "../contract/sandbox.ts";
import type { ZygoteFacts } from "../protocol/control.ts";
import { type CgroupPosture, readCgroupPosture } from "./cgroup.ts";

/** The kinds of namespaces(7), by their names below /proc/PID/ns. */
export const NAMESPACES = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"] as const;
export type NamespaceKind = (typeof NAMESPACES)[number];

const CAPABILITY_SETS = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] as const;

export interface MountPosture {
  point: string;
  type: string;
  /** Which directory of its file system it shows. */
  root: string;
  source: string;
  /** Of the mount: ro, nosuid, nodev, noexec. */
  options: string[];
}

/** Everything is as found, and nothing is judged here. */
export interface Posture {
  launcher: "fork" | "exec";
  /** Identifiers of the kernel's; null where it has no such kind. */
  namespaces: Record<NamespaceKind, { sandbox: string | null; host: string | null }>;
  user: {
    /** The one that the zygote says it gave. */
    given: number;
    /** Real, effective, saved and file system ids on the host. */
    uids: number[];
    gids: number[];
    groups: number[];
    uidMap: string;
    gidMap: string;
    setgroups: string;
  };
  /** 64 bits in hex for each set of capabilities(7). */
  capabilities: Record<(typeof CAPABILITY_SETS)[number], string>;
  noNewPrivileges: boolean;
  /** `mode` 2 is a filter; the digest is of the program that was to be installed. */
  seccomp: { mode: number; filters: number | null; sha256: string };
  /**
   * Version of the kernel's Landlock, all of which every sandbox has on it; 0 where there is none.
   */
  landlock: { abi: number };
  /** Whether the kernel can refuse descriptors that a sandbox sends to its worker. */
  refusesDescriptors: boolean;
  /**
   * Whether a core dump or a neighbour of the same user could take its memory: never when its files
   * are root's.
   */
  dumpable: boolean;
  /** Its pid in each pid namespace from the host's on, and its threads. */
  pids: number[];
  threads: number;
  mounts: MountPosture[];
  /** Hard limits by their names in /proc/PID/limits; null is unlimited. */
  resourceLimits: Record<string, number | null>;
  /** The limits that were asked for, and those that the kernel has. */
  limits: SandboxLimits;
  cgroup: CgroupPosture;
  /** Each descriptor's target; numbers of sockets and pipes left out. */
  descriptors: Record<string, string>;
  environment: number;
  /** Whether its connection to what it may reach came to the socket that a relay would have. */
  egressReached: boolean;
  /** The result of each attempt from inside: the name of an error, or "succeeded". */
  attempts: Record<string, string>;
}

/** Facts that /proc does not tell, or that the caller knows better. */
export type Known = Pick<Posture, "launcher" | "limits" | "attempts"> & {
  pid: number;
  hostUid: number;
  facts: ZygoteFacts;
};

/** @throws Error when the process is gone */
export function readPosture({ pid, hostUid, facts, launcher, limits, attempts }: Known): Posture {
  const proc = (file: string) => `/proc/${pid}/${file}`;
  const text = (file: string) => readFileSync(proc(file), "utf8");
  const status = statusOf(text("status"));
  const numbers = (name: string) => (status[name] ?? "").split(/\s+/).filter(Boolean).map(Number);
  return {
    launcher,
    namespaces: namespacesOf(pid),
    user: {
      given: hostUid,
      uids: numbers("Uid"),
      gids: numbers("Gid"),
      groups: numbers("Groups"),
      uidMap: words(text("uid_map")),
      gidMap: words(text("gid_map")),
      setgroups: words(text("setgroups")),
    },
    capabilities: Object.fromEntries(
      CAPABILITY_SETS.map((set) => [set, status[set] ?? "?"]),
    ) as Posture["capabilities"],
    noNewPrivileges: status.NoNewPrivs === "1",
    seccomp: {
      mode: Number(status.Seccomp ?? 0),
      filters: numberOrNull(status.Seccomp_filters),
      sha256: facts.filterSha256[launcher],
    },
    landlock: { abi: facts.landlockAbi },
    refusesDescriptors: facts.refusesDescriptors,
    dumpable: statSync(proc("environ")).uid !== 0,
    pids: numbers("NSpid"),
    threads: Number(status.Threads),
    mounts: mountsOf(text("mountinfo")),
    resourceLimits: resourceLimitsOf(text("limits")),
    limits,
    cgroup: readCgroupPosture(pid),
    descriptors: descriptorsOf(pid),
    environment: text("environ").length,
    egressReached: false,
    attempts,
  };
}

function statusOf(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]),
  );
}

function namespacesOf(pid: number): Posture["namespaces"] {
  const pairs = NAMESPACES.map((kind) => {
    return [kind, { sandbox: linkOf(`/proc/${pid}/ns/${kind}`), host: linkOf(`/proc/self/ns/${kind}`) }] as const;
  });
  return Object.fromEntries(pairs) as Posture["namespaces"];
}

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

/** "36 35 98:0 / /mnt rw,noatime master:1 - ext4 /dev/root rw": proc_pid_mountinfo(5). */
function mountsOf(mountinfo: string): MountPosture[] {
  return mountinfo
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [before = "", after = ""] = line.split(" - ");
      const [, , , root = "", point = "", options = ""] = before.split(" ");
      const [type = "", source = ""] = after.split(" ");
      return { point, type, root, source, options: options.split(",") };
    });
}

/**
 * Lines of "Max open files 1024 1024 files": the second number is the hard limit.
 */
function resourceLimitsOf(text: string): Posture["resourceLimits"] {
  const lines = [...text.matchAll(/^Max (.+?) {2,}(\S+) +(\S+)/gm)];
  return Object.fromEntries(lines.map(([, name = "", , hard = ""]) => [name, numberOrNull(hard)]));
}

function descriptorsOf(pid: number): Posture["descriptors"] {
  const directory = `/proc/${pid}/fd`;
  const kinds = readdirSync(directory).map((fd) => [fd, kindOf(linkOf(`${directory}/${fd}`) ?? "?")] as const);
  return Object.fromEntries(kinds);
}

/** "socket:[123]" as "socket", "anon_inode:[eventpoll]" as "eventpoll", a path as it is. */
function kindOf(link: string): string {
  return /^anon_inode:\[?(\w+)\]?$/.exec(link)?.[1] ?? link.replace(/:\[\d+\]$/, "");
}

function words(text: string): string {
  return text.trim().split(/\s+/).join(" ");
}

function numberOrNull(text: string | undefined): number | null {
  const number = Number(text);
  return text !== undefined && Number.isFinite(number) ? number : null;
}
