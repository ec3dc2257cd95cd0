/** Which zygote a sandbox is forked from. */

export interface ZygoteKey {
  /** The same for the same zygote. */
  readonly key: string;
  readonly memoryMiB: number;
}

/**
 * Whether there is one zygote for each memory class, or one for each memory class of each tenant.
 */
export type ZygoteSharing = "shared" | "tenant";

/**
 * The zygote of a memory class that serves no tenant in particular: builds, and everybody where
 * zygotes are shared.
 */
export function sharedZygote(memoryMiB: number): ZygoteKey {
  return { key: String(memoryMiB), memoryMiB };
}

/** The zygote for functions of this tenant. */
export function zygoteOf(sharing: ZygoteSharing, tenant: string, memoryMiB: number): ZygoteKey {
  return sharing === "shared" ? sharedZygote(memoryMiB) : { key: `${memoryMiB}/${tenant}`, memoryMiB };
}
