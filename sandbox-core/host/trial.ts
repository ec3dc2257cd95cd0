/**
 * An attestation of this machine outside any worker, for whoever wants to know before one is
 * started.
 */

import type { Attestation } from "../attest/attest.ts";
import { WALLS } from "../attest/walls.ts";
import { openLauncher } from "./open.ts";

/** Host users for the sandbox that is tried, away from those that a worker uses by default. */
const UIDS = { uidBase: 900_000, uidCount: 65_536 };
const MEMORY_MIB = 128;

export interface Trial {
  attestation: Attestation;
  /** Why sandboxes cannot be forks here, or null. */
  fallback: string | null;
}

/**
 * Starts a zygote as a worker would, looks at a sandbox of it, and leaves nothing.
 * @throws SandboxError when no sandbox can be made at all
 */
export async function tryIsolation(): Promise<Trial> {
  let attestation: Attestation | undefined;
  let fallback: string | null = null;
  const launcher = await openLauncher({
    memoryMiB: MEMORY_MIB,
    ...UIDS,
    // Nothing is run in it: what is missing is told, and by whoever asked judged.
    allowDegraded: WALLS.map(({ name }) => name),
    onAttested: (found) => {
      attestation = found;
    },
    onFallback: (reason) => {
      fallback = reason;
    },
  }).catch((error: unknown) => {
    // Walls that may never be missing are: that is an answer, too.
    if (attestation === undefined) throw error;
  });
  await launcher?.close();
  return { attestation: attestation as Attestation, fallback };
}
