/** Pressure stall information of one group: Documentation/accounting/psi.rst in the kernel. */
import { join } from "node:path";
import type { Pressure, SandboxStats } from "../contract/sandbox.ts";
import { readIfThere } from "./files.ts";

/** The figures in the group's files, or null on a kernel without them. */
export function readPressure(directory: string): SandboxStats["pressure"] {
  const read = (resource: string) => readIfThere(join(directory, `${resource}.pressure`));
  const [cpu, memory, io] = [read("cpu"), read("memory"), read("io")];
  if (cpu === null || memory === null || io === null) return null;
  return { cpu: parsePressure(cpu), memory: parsePressure(memory), io: parsePressure(io) };
}

/**
 * "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", and the same for "full"; totals are in
 * microseconds.
 */
export function parsePressure(text: string): Pressure {
  const field = (line: "some" | "full", key: string) =>
    Number(new RegExp(`^${line} .*\\b${key}=([0-9.]+)`, "m").exec(text)?.[1] ?? 0);
  return {
    somePercent: field("some", "avg10"),
    fullPercent: field("full", "avg10"),
    someMs: field("some", "total") / 1000,
    fullMs: field("full", "total") / 1000,
  };
}
