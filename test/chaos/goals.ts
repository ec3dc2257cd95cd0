/** What a run has to show. A missed hard goal is a fault of Sandpiper's, a soft one is a wish. */
import type { ErrorFigures } from "./figures.ts";
import type { RunResult } from "./run.ts";

export interface Goal {
  name: string;
  hard: boolean;
  met: boolean;
  /** What was found instead. */
  found: string;
}

const RECOVERY_MS = 5_000;
/** Errors by which a caller is told that the call did not run. */
const NOT_RUN = new Set([
  ...["EXPIRED", "OVERLOADED", "SHUTTING_DOWN", "SANDBOX_UNAVAILABLE", "BUNDLE_LOST", "NO_WORKER"],
  ...["TOO_MANY_REQUESTS", "TOO_MANY_CONNECTIONS", "ECONNREFUSED"],
]);

const CONNECTION_ERROR = /^(E[A-Z]+|BROKEN|LOST)$/;

/** Judges one run. */
export function goalsOf({ run, figures, leaks, heals, deaths }: RunResult): Goal[] {
  const { twice, wrong, lost, errors, recoveryMs } = figures;
  const failed = errors.reduce((sum, { count }) => sum + count, 0);
  const untold = errors.reduce((sum, one) => sum + ranUntold(one), 0);
  const strange = errors.filter(({ code }) => !run.may.includes(code)).map(({ code, count }) => `${count} ${code}`);
  const soft = [
    goal("p99 is back within 5 s", recoveryMs !== null && recoveryMs <= RECOVERY_MS, inWords(recoveryMs)),
    goal("no call ran whose caller was told that it did not", untold === 0, `${untold} ran`),
    goal("no error that the fault does not explain", strange.length === 0, strange.join(", ")),
    goal("no service ended by itself", deaths.length === 0, deaths.join("; ")),
  ];
  return [
    hard("no call ran twice", twice === 0, `${twice} did`),
    hard("no answer was wrong", wrong === 0, `${wrong} were`),
    hard("every call was answered", lost === 0, `${lost} were lost`),
    hard("nothing is left behind", leaks.length === 0, leaks.join("; ")),
    hard("all is well at last", heals, "a call of each kind never was right again"),
    ...soft,
    ...(run.noErrors ? [goal("no error at all", failed === 0, `${failed} calls failed`)] : []),
  ];
}

/**
 * Calls that ran although their caller was told otherwise. After QUEUE_UNAVAILABLE and its like a
 * call may have run before, and must not run afterwards. A connection that broke tells nothing.
 */
function ranUntold({ code, ran, ranLate }: ErrorFigures): number {
  if (NOT_RUN.has(code)) return ran;
  return CONNECTION_ERROR.test(code) ? 0 : ranLate;
}

function inWords(recoveryMs: number | null): string {
  return recoveryMs === null ? "not seen in this run" : `${recoveryMs / 1_000} s`;
}

function hard(name: string, met: boolean, found: string): Goal {
  return { name, hard: true, met, found };
}

function goal(name: string, met: boolean, found: string): Goal {
  return { ...hard(name, met, found), hard: false };
}
