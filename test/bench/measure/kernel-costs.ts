/**
 * The prices of this machine's kernel, by which ratios of one machine can be read on another: much
 * of what a sandbox costs is page faults, and hosts differ in them by a factor of seventy.
 */
import { compile } from "./c-program.ts";

/** Each the least of some rounds: what nothing else disturbed. */
export interface KernelCosts {
  systemCallUs: number;
  /** The first touch of a page of memory. */
  pageFaultUs: number;
  /** A fork of a process of 32 MiB in small pages, about a zygote's, and the end of its child. */
  forkMs: number;
  /** From one process to another on the same processor. */
  contextSwitchUs: number;
}

const NAMES = ["systemCallUs", "pageFaultUs", "forkMs", "contextSwitchUs"] as const;
/** Above this a host shadows page tables, or is as slow as one that does. */
const SLOW_FAULT_US = 5;

/** Takes a second, or some on a slow machine. @throws Error when there is no compiler */
export async function measureKernel(): Promise<KernelCosts> {
  const run = await compile("kernel-costs");
  const lines = (await run()).map((line) => line.split(" "));
  const costOf = (name: string) => Math.min(...lines.flatMap(([of, value]) => (of === name ? [Number(value)] : [])));
  return Object.fromEntries(NAMES.map((name) => [name, costOf(name)])) as unknown as KernelCosts;
}

/** The class of a machine: by the price of a page fault, as that is most of what differs. */
export function classOf({ pageFaultUs }: KernelCosts): "quiet" | "slow" {
  return pageFaultUs > SLOW_FAULT_US ? "slow" : "quiet";
}
