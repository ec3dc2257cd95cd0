/** The steps of a call's path that take more than a line, but for serve.ts; invoke.ts puts them in order. */
import type { Attributes } from "@opentelemetry/api";
import type { Redis } from "ioredis";
import type { Invocation, InvocationRecord, LogRecord, Reply, VersionRef } from "../../functions/model/invocation.ts";
import { appendLogs, recordInvocation } from "../../functions/store/logs.ts";
import { INLINE_REPLY_BYTES } from "../../functions/transport/reply-sender.ts";
import type { Failure } from "../../sandbox-core/protocol/frames.ts";
import type { Bundles, Loadable } from "../code/bundles.ts";
import type { Usage } from "../instance/call.ts";
import type { Departures } from "../instance/departures.ts";
import type { Instance } from "../instance/instance.ts";
import type { Lease } from "../pool/lease.ts";
import type { Pool } from "../pool/pool.ts";
import type { CallReply, ReplyLimits } from "./reply.ts";
import type { Step } from "./spans.ts";

/** What a worker runs calls with. */
export interface Parts {
  redis: Redis;
  bundles: Bundles;
  pool: Pool;
  departures: Departures;
  limits: ReplyLimits;
  sendReply(gatewayId: string, reply: Reply): void;
  /** null when a gateway keeps up with the replies to it; else what resolves when it does. */
  untilTaken(gatewayId: string): Promise<void> | null;
  /** Told of what could not be recorded. */
  onTrouble(message: string, cause?: unknown): void;
}

export function findBundle({ bundles }: Parts, invocation: Invocation, step: Step): Promise<Loadable> {
  step.set({ "sandpiper.bundle": bundles.has(invocation) ? "hit" : "miss" });
  return bundles.get(invocation);
}

/** Sends what a function replied. A long reply waits until its gateway has taken what was sent before. */
export async function respond(
  { untilTaken }: Parts,
  { replyTo }: Invocation,
  reply: CallReply,
  failure: Failure | null,
  step: Step,
): Promise<void> {
  reply.stopClock();
  if (failure === null && !reply.isStreaming && reply.bytes > INLINE_REPLY_BYTES) await untilTaken(replyTo);
  reply.finish(failure, step);
}

/** What the call of a lease has used that has not ended by itself. */
export function usageOf(lease: Lease | undefined): Usage {
  return lease?.instance.usage() ?? NOTHING_USED;
}

/** Writes what a function logged. The call does not wait for that, and does not fail by it. */
export function writeLog({ redis, onTrouble }: Parts, ref: VersionRef, records: LogRecord[]): void {
  appendLogs(redis, ref, records).catch((error) => onTrouble("the log of a call could not be written", error));
}

export async function keepRecord({ redis, onTrouble }: Parts, record: InvocationRecord): Promise<void> {
  await recordInvocation(redis, record).catch((error) => onTrouble("a call could not be recorded", error));
}

/** What the call that an instance has used so far, as a span shows it. */
export function usageAttributes(instance: Instance): Attributes {
  const { cpuMs, peakMemoryBytes } = instance.usage();
  return { "sandpiper.cpu_ms": cpuMs, "sandpiper.peak_memory_bytes": peakMemoryBytes };
}

export const NOTHING_USED: Usage = { cpuMs: 0, peakMemoryBytes: 0 };
