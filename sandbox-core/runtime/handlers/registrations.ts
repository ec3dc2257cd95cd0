/** Handlers that a module registers instead of exporting, and the modules that it does it by. */

import { type Listener, listenFor } from "./fetch/listener.ts";
import { defineWorkerGlobals } from "./fetch/worker-globals.ts";
import { provideWorkers } from "./fetch/workers.ts";
import { provideFramework, type RegisteredFunctions } from "./framework.ts";
import type { FunctionFacts } from "./handler.ts";

export interface Registrations {
  /** The handler that a listener is, or null. */
  listener: Listener;
  /** Functions that registered themselves by a name. */
  named: RegisteredFunctions;
}

/** Defines the globals and modules by which this code registers what it has. */
export function defineRegistrations(code: string, facts: Pick<FunctionFacts, "env">): Registrations {
  provideWorkers(facts);
  defineWorkerGlobals(code);
  return { listener: listenFor(code), named: provideFramework() };
}
