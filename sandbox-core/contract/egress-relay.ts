/** The relay of a sandbox's egress, as its holder has it. */
import type { EgressEvent, EgressPolicy, EgressSockets, SandboxEgress } from "./egress.ts";
import type { ForkableSandbox } from "./sandbox.ts";

/**
 * The process that carries the traffic, one for whoever holds sandboxes. Started with the first
 * sandbox that needs it, and again when it dies: open connections are reset then, and new ones wait
 * for the next.
 */
export interface EgressRelaying extends AsyncDisposable {
  /** Pid of its process, while there is one. */
  readonly pid: number | undefined;
  /**
   * The routes and sockets that a policy needs: a sandbox that is launched with them has its egress
   * sooner.
   * @throws SandboxError when the policy is not one
   */
  socketsOf(policy: EgressPolicy): EgressSockets;
  /**
   * Gives a sandbox its egress, once, and before anything of a tenant's is in it.
   * @throws SandboxError when the policy is not one, the sandbox has ended, the kernel refuses a
   * socket, or the process cannot be started
   */
  open(sandbox: ForkableSandbox, policy: EgressPolicy, onEvent: (event: EgressEvent) => void): Promise<SandboxEgress>;
  /** Ends the process, and with it every connection; resolves when it is gone. */
  close(): Promise<void>;
}
