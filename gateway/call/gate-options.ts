/** The parts that a gate works with, and its counts. */
import type { SandpiperError } from "../../functions/model/errors.ts";
import type { Invocation } from "../../functions/model/invocation.ts";
import type { Backlog } from "../../functions/transport/backlog.ts";
import type { Holdings } from "../../infra/std/fair-share.ts";
import type { GatewayQuotas } from "../limits/quotas.ts";
import type { ElsewhereAndReserved } from "./function-limits.ts";
import type { Throughput } from "./throughput.ts";

/** Names the function of a call. */
export type OfFunction = Pick<Invocation, "tenant" | "functionName">;

export interface GateOptions {
  gatewayId: string;
  backlog: Backlog;
  /** The slots for calls of each worker that has said of late that it lives. */
  slotsOfWorkers: () => Promise<number[]>;
  /** Tells other gateways of calls in course, and asks for theirs. */
  exchange: (own: Holdings | null, functions: Holdings | null) => Promise<ElsewhereAndReserved>;
  throughput: Throughput;
  queueWaitMs: number;
  /** Puts a call into the queue. */
  submit: (call: Invocation) => Promise<void>;
  /** How long the oldest call has been in course, in milliseconds. */
  oldestMs: () => number;
  isWaitedFor: (id: string) => boolean;
  quotas: Pick<GatewayQuotas, "weightOf" | "tooManyWait">;
  /** Answers a call that was taken back, and forgets what is kept for it. */
  fail: (call: Invocation, error: SandpiperError) => void;
}

/** Counts of what gates did, for whoever watches. */
export interface GateCounts {
  /** Calls that were refused at once, as more waited than could be served in time. */
  shed: number;
  /** Calls that waited here until their time was over. */
  expired: number;
  /** Calls that were answered, or refused, because no worker was alive. */
  deserted: number;
}
