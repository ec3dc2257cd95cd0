/** Figures as people read them. */
import { classOf } from "../measure/kernel-costs.ts";
import type { Machine } from "../run/machine.ts";
import type { Unit } from "../run/suite.ts";
import type { Verdict } from "./targets.ts";

/** Three digits that mean something. */
export function number(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(Math.abs(value) >= 1 ? 2 : 3);
}

export function withUnit(value: number, unit: Unit): string {
  return unit === "objects" ? number(value) : `${number(value)} ${unit}`;
}

/** "at most 0.15", "at least 400 per s". */
export function aimOf({ bound, value, unit }: Pick<Verdict, "bound" | "value" | "unit">): string {
  return `${bound} ${unit === null ? value : `${value} ${unit}`}`;
}

export function wordFor(met: boolean | null): string {
  return met === null ? "not measured" : met ? "met" : "not met";
}

/** Where and when a run was made. */
export function describe(machine: Machine): string {
  const gib = (machine.memoryBytes / 2 ** 30).toFixed(1);
  return (
    `${machine.date.slice(0, 10)}, ${machine.processor.trim()}, ${machine.cores} cores, ${gib} GiB, Linux ${machine.kernel}, ` +
    `Node ${machine.node}, load before ${machine.loadBefore.toFixed(2)}`
  );
}

/** The prices of its kernel: a line for whoever reads the ratios on another machine. */
export function describeKernel({ kernelCosts }: Machine): string {
  if (typeof kernelCosts === "string") return `What the kernel charges is not measured: ${kernelCosts}`;
  const { systemCallUs, pageFaultUs, forkMs, contextSwitchUs } = kernelCosts;
  const prices = [
    `system call ${number(systemCallUs)} µs`,
    `page fault ${number(pageFaultUs)} µs`,
    `fork of 32 MiB ${number(forkMs)} ms`,
    `context switch ${number(contextSwitchUs)} µs`,
  ];
  return `A ${classOf(kernelCosts)} machine, by its page faults: ${prices.join(", ")}`;
}
