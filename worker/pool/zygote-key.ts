/** Which zygote a sandbox is forked from. */

export interface Origin {
  /** The same for the same zygote. */
  readonly key: string;
  readonly memoryMiB: number;
}

/** Whose zygotes there are: one for each memory class, or one for each memory class of each tenant. */
export type ZygoteSharing = "shared" | "tenant";

/** The zygote of a memory class that serves no tenant in particular: builds, and everybody where zygotes are shared. */
export function sharedOrigin(memoryMiB: number): Origin {
  return { key: String(memoryMiB), memoryMiB };
}

/** The zygote for functions of this tenant. */
export function originOf(sharing: ZygoteSharing, tenant: string, memoryMiB: number): Origin {
  return sharing === "shared" ? sharedOrigin(memoryMiB) : { key: `${memoryMiB}/${tenant}`, memoryMiB };
}
