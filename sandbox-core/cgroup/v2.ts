/**
 * Control groups, version 2: one hierarchy. Documentation/admin-guide/cgroup-v2.rst in the kernel.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
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
import { beginFreeze, FREEZERS, thaw, untilFrozen } from "./freezer.ts";
import { disksIn, ioLimits, limitedDisks, parseIoStat } from "./io.ts";
import { readPressure } from "./pressure.ts";

const CONTROLLERS = "+memory +cpu +pids";
const FREEZER = FREEZERS["cgroup.freeze"];
const NO_IO = "the kernel's io controller is not offered by the root of version 2";

/** The keys of io.max. */
const IO_KEYS = { ioReadBps: "rbps", ioWriteBps: "wbps", ioReadIops: "riops", ioWriteIops: "wiops" } as const;

/** @param offered the controllers that the root of the hierarchy has */
export function cgroupV2(mount: string, offered: readonly string[]): CgroupDriver {
  return new CgroupV2(mount, offered.includes("io"));
}

class CgroupV2 implements CgroupDriver {
  readonly version = 2;
  readonly freezes = "cgroup.freeze";
  readonly lacks: Partial<Record<OptionalLimit, string>>;
  readonly #mount: string;

  constructor(mount: string, hasIo: boolean) {
    this.#mount = mount;
    this.lacks = hasIo ? {} : { ioReadBps: NO_IO, ioWriteBps: NO_IO, ioReadIops: NO_IO, ioWriteIops: NO_IO };
  }

  createParent(path: string): void {
    const directory = this.#at(path);
    if (path !== ".") this.createParent(dirname(path));
    mkdirSync(directory, { recursive: true });
    // A group may limit its children only by controllers that its own parent hands down.
    writeAll(directory, { "cgroup.subtree_control": CONTROLLERS });
  }

  cpuWeight(path: string): number {
    return numberIn(this.#at(path, "cpu.weight"));
  }

  setCpuWeight(path: string, weight: number): void {
    writeAll(this.#at(path), { "cpu.weight": String(weight) });
  }

  isCpuIdle(path: string): boolean {
    return isCpuIdle(this.#at(path));
  }

  setCpuIdle(path: string, isIdle: boolean): void {
    setCpuIdle(this.#at(path), isIdle, (weight) => this.setCpuWeight(path, weight));
  }

  create(path: string, limits: GroupLimits): void {
    const directory = this.#at(path);
    const io = ioLimits(limits);
    if (io.length > 0) this.#handDownIo(dirname(path));
    mkdirSync(directory);
    writeAll(directory, {
      "memory.max": String(limits.memoryBytes),
      "memory.oom.group": "1",
      "cpu.max": `${cpuQuotaUs(limits.cpus)} ${CPU_PERIOD_US}`,
      "pids.max": String(limits.pids),
      ...(existsSync(join(directory, "memory.swap.max")) ? { "memory.swap.max": "0" } : {}),
      ...(limits.memoryHighBytes === undefined ? {} : { "memory.high": String(limits.memoryHighBytes) }),
      ...(limits.cpuWeight === undefined ? {} : { "cpu.weight": String(limits.cpuWeight) }),
    });
    if (io.length === 0) return;
    const rules = io.map(([name, value]) => `${IO_KEYS[name]}=${value}`).join(" ");
    // A write(2) sets the limits of one disk.
    for (const disk of limitedDisks(limits)) writeAll(directory, { "io.max": `${disk} ${rules}` });
  }

  joinFiles(path: string): string[] {
    return [this.#at(path, "cgroup.procs")];
  }

  usage(path: string): SandboxUsage {
    const cpu = readIfThere(this.#at(path, "cpu.stat")) ?? "";
    return {
      cpuMs: cpuMs(cpu),
      throttledMs: keyedNumber(cpu, "throttled_usec") / 1000,
      peakMemoryBytes: numberIn(this.#peakFile(path) ?? ""),
      oomKills: this.oomKills(path),
      ...this.#ioUsage(path),
    };
  }

  oomKills(path: string): number {
    return keyedNumber(readIfThere(this.#at(path, "memory.events")) ?? "", "oom_kill");
  }

  stats(path: string): SandboxStats {
    return {
      // Before its peak, which would be less than it if it grew in between.
      memoryBytes: numberIn(this.#at(path, "memory.current")),
      ...this.usage(path),
      tasks: numberIn(this.#at(path, "pids.current")),
      pressure: readPressure(this.#at(path)),
      frozen: FREEZER.stands(this.#at(path)),
    };
  }

  meter(path: string) {
    return fileMeter(this.#at(path, "cpu.stat"), () => this.#peakFile(path), cpuMs);
  }

  async freeze(path: string): Promise<void> {
    beginFreeze(this.#at(path), FREEZER);
    await untilFrozen(this.#at(path), FREEZER);
  }

  thaw(path: string): void {
    thaw(this.#at(path), FREEZER);
  }

  kill(path: string): void {
    const file = this.#at(path, "cgroup.kill");
    // Since Linux 5.14.
    if (existsSync(file)) writeFileSync(file, "1");
    else killMembers(this.#at(path, "pids.max"), () => this.members(path));
    this.releaseKilled(path);
  }

  /** Frozen tasks of version 2 end by themselves. */
  releaseKilled(path: string): void {
    const file = this.#at(path, "io.max");
    if (!existsSync(file)) return;
    const free = Object.values(IO_KEYS).map((key) => `${key}=max`);
    for (const disk of disksIn(readIfThere(file) ?? "")) writeIfThere(file, `${disk} ${free.join(" ")}`);
  }

  members(path: string): number[] {
    return pidsOf(this.#at(path));
  }

  threads(path: string): number[] {
    return pidsOf(this.#at(path), "cgroup.threads");
  }

  children(path: string): string[] {
    return directoriesIn(this.#at(path));
  }

  remove(path: string): void {
    removeDirectory(this.#at(path));
  }

  #at(path: string, file = ""): string {
    return join(this.#mount, path, file);
  }

  #ioUsage(path: string): { io?: IoUsage } {
    const file = this.#at(path, "io.stat");
    return existsSync(file) ? { io: parseIoStat(readIfThere(file) ?? "") } : {};
  }

  /** memory.peak came with Linux 5.19; before it the present figure is the best there is. */
  #peakFile(path: string): string | null {
    const files = ["memory.peak", "memory.current"].map((file) => this.#at(path, file));
    return files.find((file) => existsSync(file)) ?? null;
  }

  /**
   * Sandboxes without limits on disks shall not pay for the controller: it is handed down when the
   * first has one.
   */
  #handDownIo(path: string): void {
    if (path !== ".") this.#handDownIo(dirname(path));
    writeAll(this.#at(path), { "cgroup.subtree_control": "+io" });
  }
}

function cpuMs(text: string): number {
  return keyedNumber(text, "usage_usec") / 1000;
}
