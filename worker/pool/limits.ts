/** What a sandbox of a memory class may use. */
import type { SandboxLimits } from "../../sandbox-core/index.ts";

/** The class of functions that say nothing (see the manifest's defaults): kept prewarmed. */
export const DEFAULT_MEMORY_MIB = 128;

export const MIB = 1024 * 1024;

/** Limits of one sandbox; /tmp may take a quarter of its memory, as its pages count as memory. */
export function sandboxLimits(memoryMiB: number): SandboxLimits {
  const memoryBytes = memoryMiB * MIB;
  return { memoryBytes, cpus: 1, pids: 64, tmpBytes: memoryBytes / 4, tmpInodes: 4_096 };
}
