/** Where control groups are mounted, and which part of a hierarchy each mount shows. */
import { readFileSync } from "node:fs";

/** A line of proc_pid_mountinfo(5). */
export interface MountLine {
  id: string;
  parent: string;
  /** The directory of its file system that it shows. */
  root: string;
  point: string;
  type: string;
  source: string;
  /** Of the mount, and of its file system. */
  options: string[];
}

/** A mounted hierarchy of control groups. */
export interface CgroupMount {
  directory: string;
  /** The group that it shows, as this process's cgroup namespace names it: "/", "/a", "/..". */
  root: string;
  version: 1 | 2;
  /** Of version 1: "memory", or "cpu" and "cpuacct". */
  controllers: string[];
  writable: boolean;
}

/** The mounts of a mount namespace, in the kernel's order. */
export function parseMountinfo(text: string): MountLine[] {
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [before = "", after = ""] = line.split(" - ");
      const [id = "", parent = "", , root = "", point = "", options = ""] = before.split(" ").map(unescapeOctal);
      const [type = "", source = "", ofFileSystem = ""] = after.split(" ").map(unescapeOctal);
      return { id, parent, root, point, type, source, options: [...options.split(","), ...ofFileSystem.split(",")] };
    });
}

/** Spaces and the like are "\040" in the kernel's tables. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** The hierarchies that this process can reach; a mount that another one covers is none. */
export function cgroupMounts(mountinfo = readFileSync("/proc/self/mountinfo", "utf8")): CgroupMount[] {
  const all = parseMountinfo(mountinfo);
  const covered = ({ id, point }: MountLine) => all.some((other) => other.parent === id && other.point === point);
  return all
    .filter((mount) => (mount.type === "cgroup" || mount.type === "cgroup2") && !covered(mount))
    .map(({ point, root, type, options }) => ({
      directory: point,
      root,
      version: type === "cgroup2" ? 2 : 1,
      controllers: type === "cgroup2" ? [] : options,
      writable: !options.includes("ro"),
    }));
}

/**
 * The directory of a group, below a mount of its hierarchy: in a container the mount may show a
 * part of it only, as with a bind, or more than the container's namespace calls "/".
 * @param group as /proc/PID/cgroup names it.
 * @returns null when the mount does not show the group.
 */
export function groupBelow(root: string, group: string): string | null {
  if (root === "/") return group.startsWith("/..") ? null : group;
  if (group === root) return "/";
  return group.startsWith(`${root}/`) ? group.slice(root.length) : null;
}
