import type { Becoming } from "./template.ts";

/** The process around the runtime, as the runtime needs it. */
export interface RuntimeHost {
  /** Called once, before the function's code runs, with its whole environment. */
  setEnvironment(env: Record<string, string>): void;
  /**
   * Called when a call's reply is complete, before it is sent: output that was held back must go
   * now.
   */
  flushOutput(): void;
  /** Has this process be forked from now on, if it can be: see template.ts. */
  becomeTemplate(becoming: Becoming): void;
  /** A call left nothing running, all of its body was read, and no other call is in line. */
  idle(): void;
  /**
   * The function cannot go on: what was sent so far must reach the worker, then the process ends.
   */
  die(): void;
}
