/**
 * Reports of forks to the zygote, and reasons drawn from the end of a fork that reported nothing.
 */
import type { SandboxUsage } from "../contract/sandbox.ts";
import type { ProgramEnd, Status } from "../protocol/control.ts";
import { writeLine } from "../syscall/write-line.ts";
import { EgressSocketsFailure } from "./egress-sockets.ts";
import { StartError } from "./init.ts";

/** Keeps a line of the status pipe well below PIPE_BUF. */
const MOST_MESSAGE = 500;

/** A fork's word to the zygote. */
export function reportTo(descriptor: number, status: Status): void {
  writeLine(descriptor, status);
}

/** Why a program was never started, out of how its first process ended. */
export function neverStarted({ code, signal }: ProgramEnd, { oomKills }: SandboxUsage): { message: string } {
  if (oomKills > 0) return { message: "its memory limit is too small for it to begin" };
  return {
    message: `it ended (${signal === null ? `code ${code}` : `signal ${signal}`}) before its program was started`,
  };
}

/** The report of what stopped a fork. */
export function failureOf(fork: number, error: Error): Status {
  const message = error.message.slice(0, MOST_MESSAGE);
  return {
    fork,
    is: "failed",
    message,
    ...(error instanceof StartError && { start: error.code }),
    ...(error instanceof EgressSocketsFailure && { egress: true as const }),
  };
}
