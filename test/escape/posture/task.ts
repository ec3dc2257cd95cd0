/**
 * What /proc shows of one task, with everything taken out that differs from one run or machine to
 * the next.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { basename } from "node:path";

export type Section = string | string[] | Record<string, string>;

/** A task's posture: one section for each file of /proc/PID/task/TID that tells of its walls. */
export type TaskPosture = Record<string, Section>;

/**
 * Whose task it is: what is the sandbox's own, and what others have, by which ids are told apart.
 */
export interface Owner {
  hostUid: number;
  zygotePid: number;
  /** Its first process. */
  pid: number;
  /** Name of its cgroup. */
  id: string;
}

/**
 * Fields of status that say nothing of a wall: sizes, counts, the host's ids, the machine's
 * processors.
 */
const SAYS_NOTHING =
  /^(Vm.*|Rss.*|HugetlbPages|FDSize|Threads|.*ctxt_switches|Pid|Tgid|Ngid|Cpus_allowed.*|Mems_allowed.*|Speculation.*|untag_mask)$/;

/**
 * Fields of status that kernels of some versions or configurations do not show, and files that not
 * every host has.
 */
const NOT_EVERYWHERE =
  /status\.(CoreDumping|Kthread|Seccomp_filters|THP_enabled|x86_Thread_features(_locked)?)$|\[vsyscall\]$|files\.\/etc\/ssl/;

/** Whether a machine that does not show this is as good as one that does. */
export function mayBeMissing(path: string): boolean {
  return NOT_EVERYWHERE.test(path);
}

/**
 * The posture of the task whose directory of /proc this is.
 * @throws Error of the file system when the task is gone
 */
export function readTask(directory: string, owner: Owner): TaskPosture {
  const text = (name: string) => readFileSync(`${directory}/${name}`, "latin1");
  return {
    status: status(text("status"), owner),
    ns: namespaces(directory),
    ids: [text("uid_map"), text("gid_map")].map((map) =>
      map.trim().replace(/\s+/g, " ").replace(`${owner.hostUid}`, "own"),
    ),
    mountinfo: lines(text("mountinfo")).map(mount),
    fd: descriptors(directory),
    limits: Object.fromEntries(lines(text("limits")).slice(1).map(limit)),
    environ: text("environ").split("\0").filter(Boolean),
    root: readlinkSync(`${directory}/root`),
    cwd: readlinkSync(`${directory}/cwd`),
    maps: unique(lines(text("maps")).map(mapping)),
    oom_score_adj: text("oom_score_adj").trim(),
  };
}

/**
 * The controllers whose group is not the one that the sandbox would have inherited; "" is version
 * 2.
 */
export function readCgroups(directory: string, { hostUid }: Owner): string[] {
  const inherited = new Map(lines(readFileSync("/proc/self/cgroup", "latin1")).map(cgroup));
  const own = new RegExp(`/sandpiper/\\d+-\\d+-${hostUid}$`);
  return lines(readFileSync(`${directory}/cgroup`, "latin1"))
    .map(cgroup)
    .filter(([controllers, path]) => inherited.get(controllers) !== path)
    .flatMap(([controllers, path]) =>
      controllers.split(",").map((name) => `${name || "version 2"}: ${own.test(path) ? "own" : path}`),
    )
    .sort();
}

/**
 * Every file of a root, /proc left out: type, mode, owner, and where a link leads or which device
 * it is.
 */
export function readRoot(directory: string, { hostUid }: Owner): Record<string, string> {
  const found: Record<string, string> = {};
  const id = (number: number) => (number === hostUid ? "own" : number);
  const walk = (path: string) => {
    const stats = lstatSync(`${directory}/root/${path}`);
    const kind = stats.mode.toString(8).padStart(6, "0");
    const device = stats.rdev === 0 ? "" : ` device ${stats.rdev >> 8}:${stats.rdev & 0xff}`;
    const link = stats.isSymbolicLink() ? ` -> ${readlinkSync(`${directory}/root/${path}`)}` : "";
    found[programFile(path) || "/"] = `${kind} ${id(stats.uid)}:${id(stats.gid)}${device}${link}`;
    if (stats.isDirectory() && path !== "/proc")
      for (const name of readdirSync(`${directory}/root/${path}`)) walk(`${path}/${name}`);
  };
  walk("");
  return found;
}

/**
 * Files of proc_pid_net(5) that are kept from the task, and that any process may read elsewhere.
 */
export function readHidden(directory: string): string[] {
  return ["sockstat", "sockstat6", "softnet_stat", "protocols", "unix"].filter(
    (name) => (statSync(`${directory}/net/${name}`).mode & 0o777) === 0,
  );
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

function unique(values: string[]): string[] {
  return [...new Set(values)].sort();
}

function status(text: string, owner: Owner): Record<string, string> {
  const fields = lines(text).map((line) => /^([^:]+):\s*(.*?)\s*$/.exec(line) ?? []);
  return Object.fromEntries(
    fields
      .filter(([, field = ""]) => !SAYS_NOTHING.test(field))
      .map(([, field = "", value = ""]) => [field, statusValue(field, value.replace(/\s+/g, " "), owner)]),
  );
}

function statusValue(field: string, value: string, { hostUid, zygotePid, pid }: Owner): string {
  if (field === "State") return /^[RSD]/.test(value) ? "alive" : value;
  if (field === "Uid" || field === "Gid") return value.replaceAll(`${hostUid}`, "own");
  if (field === "PPid") return { [zygotePid]: "the zygote", [pid]: "process 1" }[value] ?? value;
  if (field === "SigQ") return value.replace(/^\d+/, "n");
  if (!/^NS(tgid|pid|pgid|sid)$/.test(field)) return value;
  // The first is how the host sees it, the last the sandbox.
  const [host, ...inside] = value.split(" ").map(Number);
  const own = inside.map((id) => (field === "NSpid" && id > 1 ? "another" : id));
  return `${host === zygotePid ? "the zygote's" : "the host's"} ${own.join(" ")}`;
}

function namespaces(directory: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(`${directory}/ns`)
      .sort()
      .map((kind) => {
        const shared = readlinkSync(`${directory}/ns/${kind}`) === readlinkSync(`/proc/self/ns/${kind}`);
        return [kind, shared ? "the host's" : "own"];
      }),
  );
}

/**
 * Types of file systems that a sandbox has of its own; any other is the host's, and differs from
 * machine to machine.
 */
const OWN_TYPES = new Set(["tmpfs", "proc"]);
/** The host may have overlays, too; this is the name of ours. */
const OWN_OVERLAY = "overlay sandpiper";

/**
 * "root point options optional... - type source superoptions" (proc_pid_mountinfo(5)), without ids
 * and sizes.
 */
function mount(line: string): string {
  const [mounted = [], [type = "", ...source] = []] = line.split(" - ").map((half) => half.split(" "));
  const [, , , root = "", point = "", ...options] = mounted;
  const here = `${programFile(point)} ${options.join(" ")}`;
  if (!OWN_TYPES.has(type) && `${type} ${source[0]}` !== OWN_OVERLAY) return `${here} - out of the host's files`;
  const sizeless = source.join(" ").replace(/\b(size|nr_inodes)=\d+k?/g, "$1=n");
  return `${here} - ${root} of ${type} ${sizeless}`;
}

function descriptors(directory: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(`${directory}/fd`)
      .map(Number)
      .sort((a, b) => a - b)
      .map((fd) => {
        const flags = /^flags:\s*(\S+)/m.exec(readFileSync(`${directory}/fdinfo/${fd}`, "latin1"))?.[1];
        const target = readlinkSync(`${directory}/fd/${fd}`).replace(/:\[\d+\]$/, "");
        return [`${fd}`, `${target} ${flags}`];
      }),
  );
}

function limit(line: string): [string, string] {
  const [name = "", soft, hard] = line.split(/ {2,}/);
  return [name, `${soft} ${hard}`];
}

function cgroup(line: string): [controllers: string, path: string] {
  const [, controllers = "", ...path] = line.split(":");
  return [controllers, path.join(":")];
}

/** Rights and what is mapped. */
function mapping(line: string): string {
  const [, rights = "", , , inode = "", ...name] = line.split(/\s+/);
  const path = name.join(" ");
  if (inode === "0") return `${rights} ${path === "" ? "memory" : path.replace("[vvar_vclock]", "[vvar]")}`;
  return `${rights} ${basename(programFile(path))}`;
}

/** Programs and libraries lie elsewhere on every machine, and have versions. */
function programFile(path: string): string {
  const ours = path.replace(/^.*\/node_modules\/.*\//, "").replace(/^(\/sandpiper\/(runtime|protocol))\/.*/, "$1/...");
  if (!/^(\/usr)?\/lib/.test(path)) return ours;
  return /\.so[.\d]*$/.test(path) ? "/lib/a library" : "/lib/of libraries";
}
