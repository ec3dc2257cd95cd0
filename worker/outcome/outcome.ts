/** Finds the outcome, out of a closed set, of a call without a reply. */
import { constants } from "node:os";
import { ERRORS } from "../../functions/model/error-table.ts";
import type { ErrorCode } from "../../functions/model/errors.ts";
import type { Outcome, PublicError } from "../../functions/model/invocation.ts";
import { describeOverrun, type Overrun, type SandboxExit } from "../../sandbox-core/index.ts";

/**
 * The reason why a call has no reply of its function, thrown wherever it is found. The message is
 * fit for clients.
 */
export class CallFailure extends Error {
  override readonly name = "CallFailure";
  readonly outcome: Exclude<Outcome, "ok">;
  readonly code: ErrorCode;

  /** @param message without it, the sentence of the error table. */
  constructor(
    outcome: Exclude<Outcome, "ok">,
    code: ErrorCode,
    message: string = ERRORS[code].message,
    cause?: unknown,
  ) {
    super(message, { cause });
    this.outcome = outcome;
    this.code = code;
  }

  /**
   * A failure for whatever was thrown. Any other error is a mistake of ours, and the client learns
   * no more.
   */
  static from(error: unknown): CallFailure {
    return error instanceof CallFailure ? error : new CallFailure("platform_error", "INTERNAL", undefined, error);
  }

  get public(): PublicError {
    return { code: this.code, message: this.message };
  }
}

/** The failure of a call whose request never came whole. */
export function bodyLost(): CallFailure {
  return new CallFailure("platform_error", "BODY_LOST");
}

/** Codes of what the author of a function has to mend before its first call. */
type LoadFailureCode =
  | "FUNCTION_LOAD_FAILED"
  | "FUNCTION_RESTORE_FAILED"
  | "SECRET_MISSING"
  | "SECRET_UNFIT"
  | "ENVIRONMENT_TOO_LARGE";

/** A module, or its `afterRestore`, threw before the first call, or could not even be loaded. */
export class LoadFailure extends CallFailure {
  /** A private field, so that no log of ours shows it. */
  readonly #thrown: string;

  /** @param thrown what it threw, by the tenant's own files and lines, or what its author did. */
  constructor(code: LoadFailureCode, thrown: string) {
    super("function_error", code);
    this.#thrown = thrown;
  }

  /** Text of the tenant's: escape it before showing it. */
  get thrown(): string {
    return this.#thrown;
  }

  /** Whether the function's own code threw it. */
  get isOfCode(): boolean {
    return this.code === "FUNCTION_LOAD_FAILED" || this.code === "FUNCTION_RESTORE_FAILED";
  }
}

/**
 * The work of a sandbox before its first call: its runtime starts, then the version is loaded, or a
 * copy of it renews itself.
 */
export type Preparing = "start" | "load" | "restore";

/** The reason why the worker ended a sandbox, or the first wrong thing that the sandbox did. */
export type Cause =
  /** A call reached its time limit. */
  | { by: "deadline"; limitMs: number }
  /** What came before the first call reached one of its limits. */
  | { by: "work_limit"; during: Preparing; overrun: Overrun }
  /** The sandbox sent what the protocol does not allow. */
  | { by: "violation"; message: string }
  /** The sandbox closed its end of the wire and went on living. */
  | { by: "hang_up" }
  /** The client of its call left, and the call did not end by that. */
  | { by: "client_gone" }
  | { by: "reply_limit"; limitBytes: number; limitName: string };

/** The facts about the end of a sandbox. */
export interface End {
  /** The first thing that spoke against the sandbox, or null when it ended by itself. */
  cause: Cause | null;
  /** null when the sandbox has not ended, or nobody waited for its end. */
  exit: SandboxExit | null;
  /** The last output to descriptors 1 and 2. */
  outputTail: string;
  /** The memory limit of the version, for messages. */
  memoryMiB: number;
  /** Whether the version was still being loaded. */
  isLoading?: boolean;
}

/**
 * The line that V8 writes before it gives up for want of memory (`V8::FatalProcessOutOfMemory`,
 * src/api/api.cc), such as "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out
 * of memory".
 */
const V8_OUT_OF_MEMORY =
  /^FATAL ERROR: .*(?:out of memory|Allocation failed|invalid (?:table|array) (?:size|length))/im;

/**
 * The failure of a call whose sandbox ended. Memory comes first: the kernel's counter and V8's last
 * words are surer than an exit code, and a sandbox whose processes are killed one after another
 * does strange things meanwhile.
 */
export function judge(end: End): CallFailure {
  const { cause, exit } = end;
  if (cause?.by === "deadline" || cause?.by === "work_limit") return ofCause(cause);
  if (isOutOfMemory(end)) return outOfMemory(end);
  if (cause !== null) return ofCause(cause);
  if (exit?.overuse !== undefined)
    return new CallFailure("killed", "KILLED", `The function's sandbox was ended: ${exit.overuse}.`);
  if (exit === null || exit.reason !== undefined) return lost(exit);
  if (exit.signal !== null) return endedBySignal(exit.signal);
  const when = end.isLoading ? "while it was loaded" : "before it had answered";
  const message = `The function ended its own process with exit code ${exit.code} ${when}.`;
  return new CallFailure("function_error", "FUNCTION_EXITED", message);
}

function isOutOfMemory({ exit, outputTail }: End): boolean {
  if (exit === null) return false;
  const abnormal = exit.code !== 0 || exit.signal !== null;
  return exit.usage.oomKills > 0 || (abnormal && V8_OUT_OF_MEMORY.test(outputTail));
}

function timedOut(limitMs: number): CallFailure {
  const message = `The function did not answer within its limit of ${limitMs} ms. Do less in one call, or raise timeoutMs in sandpiper.jsonc.`;
  return new CallFailure("timeout", "TIMEOUT", message);
}

/** What did not get done, and advice where that is the function's own doing. */
const NOT_DONE: Record<Preparing, { what: string; advice: string }> = {
  start: { what: "The sandbox was not ready", advice: "Call again." },
  load: { what: "The function's module was not loaded", advice: "Do less at its top level." },
  restore: { what: "The function's afterRestore was not done", advice: "Do less in it." },
};

/** Neither a busy machine nor a sandbox without the function's code is a fault of the function. */
function overran({ during, overrun }: Extract<Cause, { by: "work_limit" }>): CallFailure {
  const { what, advice } = NOT_DONE[during];
  const sentence = `${what} ${describeOverrun(overrun)}.`;
  if (overrun.limit === "wall") return new CallFailure("platform_error", "MACHINE_BUSY", `${sentence} Call again.`);
  if (during === "start") return new CallFailure("platform_error", "SANDBOX_UNAVAILABLE", `${sentence} ${advice}`);
  return new CallFailure("timeout", "TIMEOUT", `${sentence} ${advice}`);
}

function outOfMemory({ memoryMiB }: End): CallFailure {
  const message = `The function needed more than its ${memoryMiB} MiB of memory. Use less, or raise memoryMiB in sandpiper.jsonc.`;
  return new CallFailure("out_of_memory", "OUT_OF_MEMORY", message);
}

function ofCause(cause: Cause): CallFailure {
  switch (cause.by) {
    case "deadline":
      return timedOut(cause.limitMs);
    case "work_limit":
      return overran(cause);
    case "client_gone":
      return new CallFailure("cancelled", "CLIENT_GONE");
    case "violation":
      return new CallFailure(
        "killed",
        "KILLED",
        "The function's sandbox was ended: it interfered with Sandpiper's own connection.",
      );
    case "hang_up":
      return new CallFailure(
        "killed",
        "KILLED",
        "The function's sandbox was ended: it closed Sandpiper's own connection.",
      );
    case "reply_limit":
      return new CallFailure(
        "function_error",
        "REPLY_TOO_LARGE",
        `The function's reply is larger than the limit of ${cause.limitBytes} bytes. Reply with less, or in parts. ${cause.limitName} sets the limit.`,
      );
  }
}

function lost(exit: SandboxExit | null): CallFailure {
  return new CallFailure("platform_error", "SANDBOX_LOST", ERRORS.SANDBOX_LOST.message, exit?.reason);
}

function endedBySignal(signal: number): CallFailure {
  const name = signalName(signal);
  const hint =
    name === "SIGSYS"
      ? "It made a system call that the sandbox does not allow."
      : "It crashed, or ended itself; process.abort and native code can do that.";
  return new CallFailure("killed", "KILLED", `The function's process was ended by ${name}. ${hint}`);
}

function signalName(signal: number): string {
  const found = Object.entries(constants.signals).find(([, number]) => number === signal);
  return found?.[0] ?? `signal ${signal}`;
}
