/**
 * Disks and what is read from and written to them: whose numbers the limits name, and the figures
 * of both versions.
 */
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { CgroupsError } from "../contract/error.ts";
import type { IoUsage } from "../contract/sandbox.ts";
import type { GroupLimits } from "./driver.ts";
import { readIfThere } from "./files.ts";
import { parseMountinfo } from "./mounts.ts";

const IO_LIMITS = ["ioReadBps", "ioWriteBps", "ioReadIops", "ioWriteIops"] as const;
type IoLimit = (typeof IO_LIMITS)[number];

/** The limits on disks that were asked for. */
export function ioLimits(limits: GroupLimits): [IoLimit, number][] {
  return IO_LIMITS.flatMap((name): [IoLimit, number][] => {
    const value = limits[name];
    return value === undefined ? [] : [[name, value]];
  });
}

/**
 * The "major:minor" numbers of the disks that the limits hold for: those of `ioPaths`, or every
 * disk that there is.
 * @throws CgroupsError for a path that is on no disk
 */
export function limitedDisks({ ioPaths }: GroupLimits): string[] {
  return ioPaths ? [...new Set(ioPaths.map(diskOfPath))] : allDisks();
}

/** The disks that a file of limits names: "8:0 ..." on each line. */
export function disksIn(text: string): string[] {
  return text.split("\n").flatMap((line) => /^\d+:\d+(?= )/.exec(line)?.[0] ?? []);
}

/** Every disk that has a size: a loop device without a file has none. */
function allDisks(): string[] {
  return readdirSync("/sys/block")
    .map((name) => join("/sys/block", name))
    .filter((disk) => Number(readIfThere(join(disk, "size"))) > 0)
    .map((disk) => readFileSync(join(disk, "dev"), "utf8").trim());
}

/**
 * The disk that a path of the host is on, as "major:minor". Limits are for whole disks, so that a
 * partition gives its disk.
 * @throws CgroupsError for a path that does not exist, or whose file system is on no disk (tmpfs,
 * overlay, a network's)
 */
export function diskOfPath(path: string): string {
  const number = fileSystemDevice(path) ?? mountedDevice(path);
  const entry = join("/sys/dev/block", number ?? "none");
  if (!number || !existsSync(entry)) throw new CgroupsError(`no disk is behind ${path}: name a path on one`);
  const directory = realpathSync(entry);
  if (!existsSync(join(directory, "partition"))) return number;
  return readFileSync(join(directory, "..", "dev"), "utf8").trim();
}

/**
 * The number that the file system gives itself; btrfs and others have a number of their own there,
 * which is no device's.
 */
function fileSystemDevice(path: string): string | null {
  try {
    const { dev } = statSync(path, { bigint: true });
    return existsSync(join("/sys/dev/block", deviceName(dev))) ? deviceName(dev) : null;
  } catch (cause) {
    throw new CgroupsError(`the disk of ${path} cannot be looked up: ${(cause as Error).message}`, { cause });
  }
}

/** The device that is the source of the mount that a path is below: proc_pid_mountinfo(5). */
function mountedDevice(path: string): string | null {
  const real = realpathSync(path);
  const covering = parseMountinfo(readFileSync("/proc/self/mountinfo", "utf8")).filter(({ point }) =>
    isBelow(real, point),
  );
  // Of two mounts on one point the later one covers the other, and the sort is stable.
  const source = covering.sort((a, b) => a.point.length - b.point.length).at(-1)?.source ?? "";
  const device = source.startsWith("/dev/") ? statSync(source, { bigint: true, throwIfNoEntry: false }) : undefined;
  return device?.isBlockDevice() ? deviceName(device.rdev) : null;
}

function isBelow(path: string, point: string): boolean {
  return point === "/" || path === point || path.startsWith(`${point}/`);
}

/** A dev_t as the C library lays it out (makedev(3)). */
function deviceName(device: bigint): string {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn & 0xffffffffn);
  return `${major}:${minor}`;
}

/** The figures of io.stat: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 ..." for each disk. */
export function parseIoStat(text: string): IoUsage {
  const sum = (key: string) =>
    [...text.matchAll(new RegExp(`\\b${key}=(\\d+)`, "g"))].reduce((total, [, value]) => total + Number(value), 0);
  return { readBytes: sum("rbytes"), writtenBytes: sum("wbytes"), reads: sum("rios"), writes: sum("wios") };
}

/**
 * The figures of blkio.throttle.io_service_bytes and io_serviced: "8:0 Read 1" for each disk and
 * direction.
 */
export function parseBlkio(bytes: string, operations: string): IoUsage {
  const sum = (text: string, direction: string) =>
    [...text.matchAll(new RegExp(`^\\S+ ${direction} (\\d+)$`, "gm"))].reduce(
      (all, [, value]) => all + Number(value),
      0,
    );
  return {
    readBytes: sum(bytes, "Read"),
    writtenBytes: sum(bytes, "Write"),
    reads: sum(operations, "Read"),
    writes: sum(operations, "Write"),
  };
}
