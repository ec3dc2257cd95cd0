/** When and where a run was made: figures of one machine say nothing about another. */
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { type KernelCosts, measureKernel } from "../measure/kernel-costs.ts";

export interface Machine {
  /** Start of the run, ISO 8601. */
  date: string;
  processor: string;
  cores: number;
  memoryBytes: number;
  kernel: string;
  node: string;
  /**
   * Average number of processes that ran or wanted to in the minute before the run: above 1 for
   * each core is noisy.
   */
  loadBefore: number;
  /** What the kernel charges here, or why that could not be measured. */
  kernelCosts: KernelCosts | string;
}

export async function describeMachine(): Promise<Machine> {
  return {
    date: new Date().toISOString(),
    processor: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    loadBefore: loadavg()[0] ?? 0,
    kernelCosts: await measureKernel().catch((error: Error) => error.message),
  };
}
