/** Instances and slots that functions have kept for them, whether they are called or not. */
import type { MinInstances } from "./min-instances.ts";

/** The wishes of a version that an alias `live` names, for its share of the calls. */
export interface ProvisionedVersion {
  version: string;
  percent: number;
  memoryMiB: number;
  minInstances?: MinInstances;
  /** Slots for calls. */
  reserved?: number;
}

/** A function whose live versions have something kept for them. */
export interface Provision {
  tenant: string;
  functionName: string;
  versions: readonly ProvisionedVersion[];
}
