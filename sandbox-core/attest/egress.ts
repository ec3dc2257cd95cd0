/** Egress of the sandbox that is attested: to one address and port, with nobody behind it. */
import { closeSync } from "node:fs";
import type { EgressSockets } from "../contract/egress.ts";
import { ATTESTED_EGRESS } from "../fork/attempts.ts";
import { isReadable } from "../syscall/steps.ts";

export interface EgressProbe {
  openEgressSockets(sockets: EgressSockets): Promise<number[]>;
}

/** The sockets as a relay would have them. */
export interface ProbedEgress {
  /** Whether the sandbox has connected to what is declared. */
  isReached(): boolean;
  close(): void;
}

/** Makes the routes and sockets that a policy would; undefined when that cannot be done. */
export async function openProbedEgress(sandbox: EgressProbe): Promise<ProbedEgress | undefined> {
  const { address, port } = ATTESTED_EGRESS;
  const asked = { publicRoutes: false, addresses: [address], ports: [port] };
  const fds = await sandbox.openEgressSockets(asked).catch(() => undefined);
  if (!fds) return undefined;
  const [, listener = -1] = fds;
  return {
    isReached: () => isReadable(listener, 0),
    close: () => {
      for (const fd of fds) closeSync(fd);
    },
  };
}
