/** The descriptors that one launch takes of its holder. */
import type { EgressSockets } from "../contract/egress.ts";
import type { Program } from "../contract/program.ts";
import { EgressReceiver } from "./egress-hand-over.ts";
import { hideSecrets } from "./secrets.ts";

/** Where the sockets of egress come, and the program's secrets. */
export interface LaunchDescriptors {
  egress: EgressReceiver | undefined;
  hidden: ReturnType<typeof hideSecrets> | undefined;
}

/** Opens all that are needed. @throws SyscallError when there are too few, and leaves none open */
export function openDescriptors(sockets: EgressSockets | undefined, program: Program | undefined): LaunchDescriptors {
  const egress = sockets && new EgressReceiver(sockets);
  try {
    return { egress, hidden: program && hideSecrets(program) };
  } catch (error) {
    egress?.close();
    throw error;
  }
}
