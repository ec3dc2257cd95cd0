/**
 * Control groups, version 1: a hierarchy for each controller. Documentation/admin-guide/cgroup-v1
 * in the kernel.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CgroupsError } from "../contract/error.ts";
import type { IoUsage, SandboxStats, SandboxUsage } from "../contract/sandbox.ts";
import type { CgroupDriver, GroupLimits, OptionalLimit } from "./driver.ts";
import {
  CPU_PERIOD_US,
  cpuQuotaUs,
  directoriesIn,
  fileMeter,
  isCpuIdle,
  keyedNumber,
  killMembers,
  numberIn,
  pidsOf,
  readIfThere,
  removeDirectory,
  setCpuIdle,
  writeAll,
  writeIfThere,
} from "./files.ts";
import { beginFreeze, FREEZERS, moveInto, thaw, untilFrozen } from "./freezer.ts";
import { disksIn, ioLimits, limitedDisks, parseBlkio } from "./io.ts";

export const REQUIRED_V1 = ["memory", "cpu", "cpuacct", "pids"] as const;
export const OPTIONAL_V1 = ["blkio", "freezer"] as const;

/** Where each controller is mounted; two may share a mount ("cpu,cpuacct"). */
export type ControllerMounts = Record<(typeof REQUIRED_V1)[number], string> &
  Partial<Record<(typeof OPTIONAL_V1)[number], string>> & {
    /**
     * The hierarchy of version 2 that a hybrid machine has beside them, without controllers: its
     * groups can be frozen.
     */
    unified?: string;
  };

const NO_BLKIO = "version 1 has no controller blkio on this machine";
const NO_HIGH = "version 1 of control groups has no such limit";

/** The files of blkio that limits on disks are written to. */
const IO_FILES = {
  ioReadBps: "blkio.throttle.read_bps_device",
  ioWriteBps: "blkio.throttle.write_bps_device",
  ioReadIops: "blkio.throttle.read_iops_device",
  ioWriteIops: "blkio.throttle.write_iops_device",
} as const;

/** In spite of its name it is for UDP as well. Each socket may have a packet beyond it. */
const SOCKETS_LIMIT = "memory.kmem.tcp.limit_in_bytes";
const SOCKETS_SHARE = 0.25;

export function cgroupV1(mounts: ControllerMounts): CgroupDriver {
  return new CgroupV1(mounts);
}

class CgroupV1 implements CgroupDriver {
  readonly version = 1;
  readonly freezes: CgroupDriver["freezes"];
  readonly lacks: Partial<Record<OptionalLimit, string>>;
  readonly #mounts: ControllerMounts;
  /**
   * The hierarchies that every sandbox has a group in, and those where it gets one when it is
   * needed.
   */
  readonly #always: string[];
  readonly #whenNeeded: string[];
  readonly #freezerMount: string | undefined;

  constructor(mounts: ControllerMounts) {
    this.#mounts = mounts;
    this.#always = [...new Set(REQUIRED_V1.map((controller) => mounts[controller]))];
    // Processes that stand still by version 2's switch can be killed, so that switch is the better
    // one.
    this.#freezerMount = mounts.unified ?? mounts.freezer;
    this.freezes = mounts.unified ? "cgroup.freeze" : mounts.freezer ? "freezer" : null;
    const optional = [mounts.blkio, this.#freezerMount].filter((mount) => mount !== undefined);
    this.#whenNeeded = [...new Set(optional)].filter((mount) => !this.#always.includes(mount));
    const noIo = { ioReadBps: NO_BLKIO, ioWriteBps: NO_BLKIO, ioReadIops: NO_BLKIO, ioWriteIops: NO_BLKIO };
    this.lacks = { memoryHighBytes: NO_HIGH, ...(mounts.blkio ? {} : noIo) };
  }

  createParent(path: string): void {
    for (const mount of [...this.#always, ...this.#whenNeeded]) mkdirSync(join(mount, path), { recursive: true });
  }

  cpuWeight(path: string): number {
    return Math.round((numberIn(this.#at("cpu", path, "cpu.shares")) * 100) / 1024);
  }

  setCpuWeight(path: string, weight: number): void {
    writeAll(this.#at("cpu", path), { "cpu.shares": String(cpuShares(weight)) });
  }

  isCpuIdle(path: string): boolean {
    return isCpuIdle(this.#at("cpu", path));
  }

  setCpuIdle(path: string, isIdle: boolean): void {
    setCpuIdle(this.#at("cpu", path), isIdle, (weight) => this.setCpuWeight(path, weight));
  }

  create(path: string, limits: GroupLimits): void {
    for (const mount of this.#always) mkdirSync(join(mount, path));
    writeAll(this.#at("memory", path), memoryLimits(this.#at("memory", path), limits));
    writeAll(this.#at("cpu", path), {
      "cpu.cfs_period_us": String(CPU_PERIOD_US),
      "cpu.cfs_quota_us": String(cpuQuotaUs(limits.cpus)),
      ...(limits.cpuWeight === undefined ? {} : { "cpu.shares": String(cpuShares(limits.cpuWeight)) }),
    });
    writeAll(this.#at("pids", path), { "pids.max": String(limits.pids) });
    this.#limitIo(path, limits);
  }

  // `tasks`, not `cgroup.procs`: for a single thread that moves itself the kernel skips the lock
  // over all thread groups, whose first taker after an idle moment waits 10 to 20 ms for an RCU
  // grace period.
  joinFiles(path: string, limits: GroupLimits): string[] {
    const { blkio } = this.#mounts;
    const hierarchies = blkio && ioLimits(limits).length > 0 ? [...this.#always, blkio] : this.#always;
    return [...new Set(hierarchies)].map((mount) => join(mount, path, "tasks"));
  }

  usage(path: string): SandboxUsage {
    return {
      cpuMs: cpuMs(readIfThere(this.#at("cpuacct", path, "cpuacct.usage")) ?? "0"),
      throttledMs: keyedNumber(readIfThere(this.#at("cpu", path, "cpu.stat")) ?? "", "throttled_time") / 1e6,
      peakMemoryBytes: numberIn(this.#at("memory", path, "memory.max_usage_in_bytes")),
      oomKills: this.oomKills(path),
      ...this.#ioUsage(path),
    };
  }

  oomKills(path: string): number {
    return keyedNumber(readIfThere(this.#at("memory", path, "memory.oom_control")) ?? "", "oom_kill");
  }

  stats(path: string): SandboxStats {
    return {
      // Before its peak, which would be less than it if it grew in between.
      memoryBytes: numberIn(this.#at("memory", path, "memory.usage_in_bytes")),
      ...this.usage(path),
      tasks: numberIn(this.#at("pids", path, "pids.current")),
      // The kernel counts it for groups of version 2, and a sandbox is in none from its beginning.
      pressure: null,
      frozen: this.#freezer(path)?.stands() ?? false,
    };
  }

  meter(path: string) {
    return fileMeter(
      this.#at("cpuacct", path, "cpuacct.usage"),
      () => this.#at("memory", path, "memory.max_usage_in_bytes"),
      cpuMs,
    );
  }

  async freeze(path: string): Promise<void> {
    const freezer = this.#freezer(path);
    if (!freezer)
      throw new CgroupsError("there is no freezer: mount the controller freezer, or cgroup2 beside version 1");
    const { directory, kind } = freezer;
    mkdirSync(directory, { recursive: true });
    beginFreeze(directory, kind);
    const members = () => this.members(path);
    if (!moveInto(directory, members)) this.#withoutBirths(path, () => moveInto(directory, members));
    await untilFrozen(directory, kind);
  }

  thaw(path: string): void {
    const freezer = this.#freezer(path);
    if (freezer) thaw(freezer.directory, freezer.kind);
  }

  kill(path: string): void {
    killMembers(this.#at("pids", path, "pids.max"), () => this.members(path));
    this.releaseKilled(path);
  }

  releaseKilled(path: string): void {
    if (this.freezes === "freezer") this.thaw(path);
    const { blkio } = this.#mounts;
    if (!blkio || !existsSync(join(blkio, path))) return;
    for (const file of Object.values(IO_FILES).map((name) => join(blkio, path, name)))
      for (const disk of disksIn(readIfThere(file) ?? "")) writeIfThere(file, `${disk} 0`);
  }

  members(path: string): number[] {
    return pidsOf(this.#at("memory", path));
  }

  threads(path: string): number[] {
    return pidsOf(this.#at("memory", path), "tasks");
  }

  children(path: string): string[] {
    return [...new Set(this.#everywhere(path).flatMap(directoriesIn))];
  }

  remove(path: string): void {
    for (const mount of this.#whenNeeded) {
      // Asked first: most sandboxes have no group there, and a failed system call that throws costs
      // ten times as much.
      if (existsSync(join(mount, path))) removeDirectory(join(mount, path));
    }
    for (const mount of this.#always) removeDirectory(join(mount, path));
  }

  #at(controller: (typeof REQUIRED_V1)[number], path: string, file = ""): string {
    return join(this.#mounts[controller], path, file);
  }

  #everywhere(path: string): string[] {
    return [...this.#always, ...this.#whenNeeded].map((mount) => join(mount, path));
  }

  #limitIo(path: string, limits: GroupLimits): void {
    const asked = ioLimits(limits);
    const { blkio } = this.#mounts;
    if (asked.length === 0 || !blkio) return;
    const directory = join(blkio, path);
    mkdirSync(directory, { recursive: true });
    // A write(2) sets the limit of one disk.
    for (const disk of limitedDisks(limits))
      for (const [name, value] of asked) writeAll(directory, { [IO_FILES[name]]: `${disk} ${value}` });
  }

  #ioUsage(path: string): { io?: IoUsage } {
    const { blkio } = this.#mounts;
    // Asked first, as in `remove`.
    if (!blkio || !existsSync(join(blkio, path))) return {};
    const read = (file: string) => readIfThere(join(blkio, path, file)) ?? "";
    return { io: parseBlkio(read("blkio.throttle.io_service_bytes"), read("blkio.throttle.io_serviced")) };
  }

  #freezer(path: string) {
    if (!this.freezes || !this.#freezerMount) return null;
    const kind = FREEZERS[this.freezes];
    const directory = join(this.#freezerMount, path);
    return { kind, directory, stands: () => kind.stands(directory) };
  }

  /** Runs `work` while the group can make no task. */
  #withoutBirths(path: string, work: () => void): void {
    const file = this.#at("pids", path, "pids.max");
    const most = readFileSync(file, "utf8");
    writeFileSync(file, "0");
    try {
      work();
    } finally {
      writeFileSync(file, most);
    }
  }
}

function cpuMs(text: string): number {
  return Number(text) / 1e6;
}

/**
 * Version 2's weight, of which 100 is usual, as version 1's shares, of which 1,024 is: the ratio
 * that systemd uses.
 */
function cpuShares(weight: number): number {
  return Math.max(2, Math.round((weight * 1024) / 100));
}

/**
 * Without swap: memory and swap together may not pass what memory alone may. Data in sockets of the
 * internet is not counted as memory, and without a limit of its own not at all: all sandboxes and
 * the host have one store of that.
 */
function memoryLimits(directory: string, { memoryBytes }: GroupLimits): Record<string, string> {
  const limit = String(memoryBytes);
  const sockets = existsSync(join(directory, SOCKETS_LIMIT))
    ? { [SOCKETS_LIMIT]: String(Math.floor(memoryBytes * SOCKETS_SHARE)) }
    : {};
  // A kernel without swap accounting has no memsw file: then the group is told never to swap.
  return existsSync(join(directory, "memory.memsw.limit_in_bytes"))
    ? { "memory.limit_in_bytes": limit, "memory.memsw.limit_in_bytes": limit, ...sockets }
    : { "memory.limit_in_bytes": limit, "memory.swappiness": "0", ...sockets };
}
