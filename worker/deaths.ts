/** Lines of the worker's log about what ended: a sandbox, a zygote. One each, with the cause. */
import { constants } from "node:os";
import type { Logger } from "../infra/log.ts";
import type { Sandbox, SandboxExit, ZygoteEnd } from "../sandbox-core/index.ts";

/** Words for the reasons for which an instance ends its sandbox. */
const REASONS: Readonly<Record<string, string>> = {
  deadline: "the time of its call was over",
  hang_up: "it closed its connection to the worker",
  client_gone: "its client left and its call went on",
  reply_limit: "its reply was larger than may be",
};

/** Tells of a sandbox that has ended, by itself or not. */
export function tellSandboxEnd(log: Logger, { id, pid }: Sandbox, exit: SandboxExit | null): void {
  const reason = causeOf(exit);
  log.info("a sandbox ended", { reason, sandbox: id, pid, ...(exit && usageOf(exit)) });
}

/** Tells of a zygote that has ended: one that was to end, or one that died. */
export function tellZygoteEnd(log: Logger, { pid, reason, planned, sandboxes }: ZygoteEnd): void {
  if (planned) log.info("a zygote was retired", { pid });
  else log.error("a zygote died; its sandboxes end with it, and the next one is started", { reason, pid, sandboxes });
}

function usageOf({ usage }: SandboxExit) {
  return { cpuMs: Math.round(usage.cpuMs), peakMemoryBytes: usage.peakMemoryBytes };
}

/** The cause of an end. Memory comes first: the kernel's counter is surer than all else. */
function causeOf(exit: SandboxExit | null): string {
  if (exit === null) return "it was killed, and the kernel has not ended it";
  const { usage, reason, signal, code } = exit;
  if (usage.oomKills > 0) return "it needed more memory than its limit";
  if (reason !== undefined) return REASONS[reason] ?? reason;
  if (signal !== null) return `it was ended by ${nameOf(signal)}`;
  return `it ended itself with exit code ${code}`;
}

function nameOf(signal: number): string {
  return Object.entries(constants.signals).find(([, number]) => number === signal)?.[0] ?? `signal ${signal}`;
}
