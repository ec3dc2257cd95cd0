/** The descriptors that one launch takes of its holder. */
import type { EgressSockets } from "../contract/egress.ts";
import type { Program } from "../contract/program.ts";
import type { Request } from "../protocol/control.ts";
import { EgressReceiver } from "./egress-hand-over.ts";
import { hideSecrets } from "./secrets.ts";

export interface LaunchDescriptors {
  /** Where the sockets of egress come. */
  egress: EgressReceiver | undefined;
  /** The descriptor of what its program is started with. */
  secrets: number | undefined;
  /** The words about them to the zygote. */
  told: Pick<Extract<Request, { op: "launch" }>, "program" | "secrets" | "egress">;
}

/** Opens all that are needed. @throws SyscallError when there are too few, and leaves none open */
export function openDescriptors(sockets: EgressSockets | undefined, program: Program | undefined): LaunchDescriptors {
  const egress = sockets && new EgressReceiver(sockets);
  try {
    const hidden = program && hideSecrets(program);
    const outline = hidden && { program: hidden.outline, secrets: hidden.secrets };
    return { egress, secrets: hidden?.secrets, told: { ...outline, ...(egress && { egress: egress.request }) } };
  } catch (error) {
    egress?.close();
    throw error;
  }
}
