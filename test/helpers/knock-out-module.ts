/**
 * A module that a zygote under test loads before its own code (node --import): while the file
 * `plan` names a wall, forks are locked in without it, as if the kernel took the call and did
 * nothing. Nothing of this is in what runs in production.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { CLONE, MS, PR, RTM_NEWROUTE } from "../../sandbox-core/abi/linux.ts";
import { sys } from "../../sandbox-core/syscall/libc.ts";

const directory = new URL(import.meta.url).searchParams.get("directory") as string;
const readFileSync = fs.readFileSync;
const writeFileSync = fs.writeFileSync;
const real = { ...sys };
let wall = "";

const NAMESPACES: Record<string, number> = {
  "ipc-namespace": CLONE.NEWIPC,
  "uts-namespace": CLONE.NEWUTS,
  "cgroup-namespace": CLONE.NEWCGROUP,
  "network-namespace": CLONE.NEWNET,
  "time-namespace": CLONE.NEWTIME,
};
const ROOTS_GROUP = Buffer.alloc(4);
/** Files of control groups that a limit is written to, in both versions. */
const LIMIT_FILES: Record<string, RegExp> = {
  "memory-limit": /\/memory\.(limit_in_bytes|memsw\.limit_in_bytes|max|swap\.max)$/,
  "swap-limit": /\/memory\.(memsw\.limit_in_bytes|swap\.max)$/,
  "cpu-limit": /\/cpu\.(cfs_quota_us|max)$/,
  "task-limit": /\/pids\.max$/,
};

const unless = <Call extends (...args: never[]) => unknown>(name: string, call: Call, skipped = 0): Call =>
  ((...args: never[]) => (wall === name ? skipped : call(...args))) as Call;

Object.assign(sys, {
  // The first step towards a fork: it is locked in by the plan of this moment.
  unshare: (flags: number) => {
    if (flags & CLONE.NEWPID) wall = readFileSync(`${directory}/plan`, "utf8");
    return real.unshare(flags & ~(NAMESPACES[wall] ?? 0));
  },
  // Without a network namespace of its own, a fork would bound and hide what is the host's.
  open: (path: string, flags: number) => {
    const spared = ["socket-memory", "network-namespace"].includes(wall) && path.startsWith("/proc/sys/net/");
    return real.open(spared ? "/dev/null" : path, flags);
  },
  // Every address leads to the sandbox itself. The 18th byte of a route's message has its range.
  write: (fd: number, bytes: Buffer, count: number) => {
    if (wall === "egress" && bytes.length >= 36 && bytes.readUInt16LE(4) === RTM_NEWROUTE) bytes[17] = 0;
    return real.write(fd, bytes, count);
  },
  chmod: unless("network-namespace", real.chmod),
  installFilter: unless("seccomp", real.installFilter),
  capset: unless("capabilities", real.capset),
  setrlimit: unless("resource-limits", real.setrlimit),
  setgroups: (...args: Parameters<typeof sys.setgroups>) =>
    wall === "user" ? real.setgroups(1, ROOTS_GROUP as never) : real.setgroups(...args),
  syscall: (...args: Parameters<typeof sys.syscall>) => {
    const [name] = args;
    if (wall === "landlock" && name === "landlock_restrict_self") return 0;
    if (wall === "descriptors" && name === "close_range") return 0;
    return real.syscall(...args);
  },
  prctl: (...args: Parameters<typeof sys.prctl>) => {
    const [option, value] = args;
    if (wall === "not-dumpable" && option === PR.SET_DUMPABLE && value === 0) return 0;
    return real.prctl(...args);
  },
  mount: (...args: Parameters<typeof sys.mount>) => {
    const [source, target, type, flags] = args;
    if (wall === "proc" && type === "proc") return real.mount(source, target, type, flags, null);
    if (wall === "root" && type === "tmpfs") return real.mount(source, target, type, flags & ~MS.NOSUID, args[4]);
    return real.mount(...args);
  },
});
// The zygote makes a fork's group before the fork.
fs.writeFileSync = ((...args: Parameters<typeof writeFileSync>) => {
  const planned = readFileSync(`${directory}/plan`, "utf8");
  if (LIMIT_FILES[planned]?.test(String(args[0]))) return;
  writeFileSync(...args);
}) as typeof writeFileSync;
syncBuiltinESMExports();
