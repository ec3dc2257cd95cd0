import type { Invocation } from "../model/invocation.ts";

/** What a worker does with calls. */
export interface InvocationHandlers {
  /** How many more calls may be given to `run` now; those given before count as soon as `run` was called. */
  freeSlots(): number;
  /** Runs a call and answers it. Resolves when its reply was handed to Redis; never rejects. */
  run(call: Invocation): Promise<void>;
  /** Answers and records calls that a worker took and may have run, and that it will not answer. */
  lost(calls: Invocation[]): Promise<void>;
  /** Answers calls that waited too long and were not run. Their gateway may have given up on them. */
  expired?(calls: Invocation[]): Promise<void>;
  /** Told of failures of the queue itself. */
  onError?(error: Error): void;
}
