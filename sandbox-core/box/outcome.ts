/** How a box ended, in words of a closed set. */
import { constants } from "node:os";
import type { SandboxExit, SandboxUsage } from "../contract/sandbox.ts";

/**
 * `ok`: its command ended with code 0. `error`: with another, or by a signal. `timeout`: it was
 * ended after its time. `out_of_memory`: the kernel killed something in it for want of memory,
 * whatever its command made of that. `killed`: it was ended from outside, or by SIGKILL.
 * `platform_error`: its zygote was lost.
 */
export type BoxOutcome = "ok" | "error" | "timeout" | "out_of_memory" | "killed" | "platform_error";

export interface BoxEnd {
  outcome: BoxOutcome;
  /** Exit code of its command, or null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  usage: SandboxUsage;
  /** Set when it was ended for what it took of the machine: the end of a sentence about it. */
  overuse?: string;
  /** From the moment that it was asked for. */
  elapsedMs: number;
}

/** Why this process ended a box. */
export const TIMED_OUT = "timeout";
export const KILLED = "killed";

/** The end of a box, as its sandbox's exit tells it. */
export function boxEnd(exit: SandboxExit, elapsedMs: number): BoxEnd {
  const { code, signal, usage, overuse } = exit;
  const more = overuse === undefined ? {} : { overuse };
  return { outcome: outcomeOf(exit), code, signal: signalName(signal), usage, elapsedMs, ...more };
}

function outcomeOf({ code, signal, usage, reason, overuse }: SandboxExit): BoxOutcome {
  if (usage.oomKills > 0) return "out_of_memory";
  if (reason === TIMED_OUT) return "timeout";
  if (reason === KILLED || overuse !== undefined || (reason === undefined && signal === constants.signals.SIGKILL))
    return "killed";
  if (reason !== undefined) return "platform_error";
  return code === 0 ? "ok" : "error";
}

/** Exit code of timeout(1). */
const TIMEOUT_CODE = 124;
const SIGNAL_BASE = 128;
const { SIGKILL } = constants.signals;

/**
 * The exit code as a shell would give it: that of the command, 124 for a timeout, 128 and the
 * signal's number.
 */
export function exitCodeOf({ outcome, code, signal }: BoxEnd): number {
  if (outcome === "timeout") return TIMEOUT_CODE;
  return code ?? SIGNAL_BASE + (signal === null ? SIGKILL : constants.signals[signal]);
}

function signalName(number: number | null): NodeJS.Signals | null {
  const found = Object.entries(constants.signals).find(([, value]) => value === number);
  return (found?.[0] as NodeJS.Signals | undefined) ?? null;
}
