/** The limits of one sandbox, and of all sandboxes of a worker together. */
import { MIB } from "../../infra/std/bytes.ts";
import type { SandboxLimits } from "../../sandbox-core/index.ts";

/** The class of functions that say nothing (see the manifest's defaults): kept prewarmed. */
export const DEFAULT_MEMORY_MIB = 128;

/**
 * The limits of a sandbox of a class. /tmp may take a quarter of the memory, as its pages count as
 * memory.
 */
export function sandboxLimits(memoryMiB: number): SandboxLimits {
  const memoryBytes = memoryMiB * MIB;
  return { memoryBytes, cpus: 1, pids: 64, tmpBytes: memoryBytes / 4, tmpInodes: 4_096 };
}

export interface CapacityLimits {
  maxSandboxes: number;
  /** Most that the memory limits of all sandboxes may add up to. */
  memoryBudgetBytes: number;
}

/**
 * Counts the sandboxes that there are and those on their way out. A place is taken before a sandbox
 * is asked for and given back when the kernel has let go of all of it, so the sum of what runs
 * never exceeds the limits.
 */
export class Capacity {
  readonly #limits: CapacityLimits;
  #sandboxes = 0;
  #memoryBytes = 0;
  #leavingSandboxes = 0;
  #leavingBytes = 0;

  constructor(limits: CapacityLimits) {
    this.#limits = limits;
  }

  /** Takes a place for a sandbox of that much memory, or returns false and takes nothing. */
  take(bytes: number): boolean {
    if (!this.#fits(bytes, this.#sandboxes, this.#memoryBytes)) return false;
    this.#sandboxes += 1;
    this.#memoryBytes += bytes;
    return true;
  }

  /** Gives a place back, after `leaving` was said of it or not. */
  give(bytes: number, wasLeaving: boolean): void {
    this.#sandboxes -= 1;
    this.#memoryBytes -= bytes;
    if (!wasLeaving) return;
    this.#leavingSandboxes -= 1;
    this.#leavingBytes -= bytes;
  }

  /** Notes that the holder of a place was told to end: the place comes back soon. */
  leaving(bytes: number): void {
    this.#leavingSandboxes += 1;
    this.#leavingBytes += bytes;
  }

  /** Whether there is room for that much once everything that is leaving has left. */
  willFit(bytes: number): boolean {
    return this.#fits(bytes, this.#sandboxes - this.#leavingSandboxes, this.#memoryBytes - this.#leavingBytes);
  }

  /** Whether an empty worker could hold a sandbox of that much memory. */
  canEverFit(bytes: number): boolean {
    return this.#fits(bytes, 0, 0);
  }

  /** How many sandboxes of that much memory an empty worker could hold; 1 at least. */
  most(bytes: number): number {
    const { maxSandboxes, memoryBudgetBytes } = this.#limits;
    return Math.max(1, Math.min(maxSandboxes, Math.floor(memoryBudgetBytes / bytes)));
  }

  get sandboxes(): number {
    return this.#sandboxes;
  }

  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  #fits(bytes: number, sandboxes: number, memoryBytes: number): boolean {
    return sandboxes < this.#limits.maxSandboxes && memoryBytes + bytes <= this.#limits.memoryBudgetBytes;
  }
}
