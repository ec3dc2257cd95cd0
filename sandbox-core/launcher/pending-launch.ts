/** A launch that a zygote was asked for and has not answered. */
import type { Socket } from "node:net";
import { EgressSocketsError, SandboxError, StartFailure } from "../contract/error.ts";
import type { SandboxExit, SandboxLimits } from "../contract/sandbox.ts";
import type { Refusal } from "../protocol/control.ts";
import type { EgressReceiver } from "./egress-hand-over.ts";
import type { LaunchedSandbox } from "./sandbox.ts";
import type { Receiver } from "./socket-receiver.ts";

/** A launch on its way: asked of the zygote, not yet a sandbox. */
export interface PendingLaunch {
  token: string;
  limits: SandboxLimits;
  hasLocks: boolean;
  sockets: Promise<Map<string, Socket>>;
  resolve: (sandbox: LaunchedSandbox) => void;
  reject: (error: SandboxError) => void;
  /** Ends a launch that takes too long; runs out a second time when even its end does not come. */
  deadline: NodeJS.Timeout;
  /** Why it is being ended, once it took too long. */
  overdue?: string;
  /** The descriptor of what its program is started with, if it starts one. */
  secrets: number | undefined;
  /** Where the sockets of its egress come, if it has one. */
  egress: EgressReceiver | undefined;
  /** The exit, when it came before the connections did. */
  exit?: SandboxExit;
}

/** The error that whoever asked for a launch gets when it was refused. */
export function errorOf({ message, start, egress }: Refusal): SandboxError {
  if (start !== undefined) return new StartFailure(`the program could not be started: ${message}`, start);
  const text = `a sandbox could not be made: ${message}`;
  return egress ? new EgressSocketsError(text) : new SandboxError(text);
}

/**
 * Tells whoever waits for a launch, and cuts its connections: those that are to come, and those
 * that are there already.
 */
export function failLaunch({ token, sockets, reject }: PendingLaunch, receiver: Receiver, error: SandboxError): void {
  receiver.forget(token);
  void sockets.then((connected) => {
    for (const socket of connected.values()) socket.destroy();
  });
  reject(error);
}
