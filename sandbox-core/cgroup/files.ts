/** Reading and writing the small files of a control group. */
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Meter } from "./driver.ts";

/** Writes values to files of one directory, naming the file in the error. */
export function writeAll(directory: string, values: Record<string, string>): void {
  for (const [file, value] of Object.entries(values)) writeFileSync(join(directory, file), value);
}

/** Linux 5.15: Documentation/admin-guide/cgroup-v2.rst; version 1 has the same file. */
const IDLE_FILE = "cpu.idle";
const USUAL_WEIGHT = 100;
const LEAST_WEIGHT = 1;

export function isCpuIdle(directory: string): boolean {
  return readIfThere(join(directory, IDLE_FILE))?.trim() === "1";
}

/** @param setWeight what a kernel without such groups gets instead */
export function setCpuIdle(directory: string, isIdle: boolean, setWeight: (weight: number) => void): void {
  const file = join(directory, IDLE_FILE);
  // A group that is idle no more has the usual weight.
  if (existsSync(file)) writeFileSync(file, isIdle ? "1" : "0");
  else setWeight(isIdle ? LEAST_WEIGHT : USUAL_WEIGHT);
}

export const CPU_PERIOD_US = 100_000;

/**
 * Microseconds of each CPU_PERIOD_US that so many processors' worth of time are; the kernel takes
 * no less than 1,000.
 */
export function cpuQuotaUs(cpus: number): number {
  return Math.max(1000, Math.round(cpus * CPU_PERIOD_US));
}

/** The number behind `key` in a file of "key number" lines (memory.events, cpu.stat), or 0. */
export function keyedNumber(text: string, key: string): number {
  for (const line of text.split("\n")) if (line.startsWith(`${key} `)) return Number(line.slice(key.length + 1));
  return 0;
}

/**
 * Writes to a file of a group, which may be gone by now (ENOENT, and ENODEV of a file that was open
 * then).
 */
export function writeIfThere(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    if (!["ENOENT", "ENODEV"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

/**
 * The file's text, or null when it is not there (a controller without it, or a group that is gone).
 */
export function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}

/** The number that the file is, or 0 when it is not there. */
export function numberIn(file: string): number {
  return Number(readIfThere(file) ?? 0);
}

/**
 * Sends SIGKILL to all members of a group, after the pids controller forbade it new ones for ever:
 * what was born between the listing and the signal would get away. A freezer would only delay it.
 */
export function killMembers(pidsMaxFile: string, members: () => readonly number[]): void {
  writeFileSync(pidsMaxFile, "0");
  for (const pid of members()) {
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

export function pidsOf(directory: string, file = "cgroup.procs"): number[] {
  return (readIfThere(join(directory, file)) ?? "").split("\n").filter(Boolean).map(Number);
}

export function directoriesIn(directory: string): string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return [];
  }
}

/** rmdir(2) that takes "gone already" for done. */
export function removeDirectory(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/**
 * A meter over two files, of which the second may be one that a kernel has not; `cpuMs` and `bytes`
 * turn their text into figures.
 */
export function fileMeter(
  cpuFile: string,
  peakFile: () => string | null,
  cpuMs: (text: string) => number,
  bytes: (text: string) => number = Number,
): Meter {
  const buffer = Buffer.allocUnsafe(1024);
  let files: string[] | undefined;
  const open: number[] = [];
  let isClosed = false;
  const last = { cpuMs: 0, peakMemoryBytes: 0 };
  const text = (fd: number) => buffer.toString("latin1", 0, readSync(fd, buffer, 0, buffer.length, 0));
  return {
    read() {
      if (isClosed) return last;
      try {
        files ??= [cpuFile, peakFile()].filter((file) => file !== null);
        for (const file of files.slice(open.length)) open.push(openSync(file, "r"));
        const [cpu, peak] = open as [number, number?];
        last.cpuMs = cpuMs(text(cpu));
        if (peak !== undefined) last.peakMemoryBytes = bytes(text(peak));
      } catch {
        // ENODEV or ENOENT: the group is gone, and the last figures stand.
      }
      return last;
    },
    close() {
      isClosed = true;
      for (const fd of open.splice(0)) closeSync(fd);
    },
  };
}
