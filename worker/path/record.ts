/** Keeps the records and logs of calls in Redis, also of calls that no worker runs. */
import type { Redis } from "ioredis";
import type { Invocation, InvocationRecord, LogRecord, VersionRef } from "../../functions/model/invocation.ts";
import { appendLogs, recordInvocation } from "../../functions/store/logs.ts";
import type { Usage } from "../instance/call.ts";
import { CallFailure } from "../outcome/outcome.ts";
import { CallReply, type CallReplyOptions } from "./reply.ts";

export interface RecordParts {
  redis: Redis;
  /** Told of each call that has ended. */
  onRecord?(record: InvocationRecord): void;
  /** Told of what could not be recorded. */
  onTrouble(message: string, cause?: unknown): void;
}

type AnswerParts = RecordParts & CallReplyOptions;

export const NOTHING_USED: Usage = { cpuMs: 0, peakMemoryBytes: 0 };

/** Writes what a function logged. The call does not wait for that, and does not fail by it. */
export function writeLog({ redis, onTrouble }: RecordParts, ref: VersionRef, records: LogRecord[]): void {
  appendLogs(redis, ref, records).catch((error) => onTrouble("the log of a call could not be written", error));
}

/** Never rejects. */
export async function keepRecord(parts: RecordParts, record: InvocationRecord): Promise<void> {
  const { redis, onTrouble } = parts;
  parts.onRecord?.(record);
  await recordInvocation(redis, record).catch((error) => onTrouble("a call could not be recorded", error));
}

/**
 * Answers calls whose worker died. They may have run; one that was recorded before keeps its
 * record.
 */
export function failLost(parts: AnswerParts, calls: Invocation[]): Promise<void> {
  return failAll(parts, calls, new CallFailure("platform_error", "WORKER_LOST"), "unknown");
}

/** Answers calls that waited too long. They did not run. */
export function failExpired(parts: AnswerParts, calls: Invocation[]): Promise<void> {
  return failAll(parts, calls, new CallFailure("platform_error", "EXPIRED"), "no");
}

/** Records calls that waited in a Redis that has ended since. Their gateways have answered them. */
export function failAbandoned(parts: AnswerParts, calls: Invocation[]): Promise<void> {
  const message = "Redis ended while the call waited in it. The function did not run for it afterwards.";
  return failAll(parts, calls, new CallFailure("platform_error", "QUEUE_UNAVAILABLE", message), "unknown");
}

/** Answers calls that their gateway gave up before they began. They did not run. */
export function failGivenUp(parts: AnswerParts, calls: Invocation[]): Promise<void> {
  const message = "The gateway no longer waited for the call when a worker had room for it. It did not run.";
  return failAll(parts, calls, new CallFailure("platform_error", "EXPIRED", message), "no");
}

async function failAll(
  parts: AnswerParts,
  calls: Invocation[],
  failure: CallFailure,
  ran: "no" | "unknown",
): Promise<void> {
  const records = calls.map((call) => {
    const reply = new CallReply(call, parts);
    reply.fail(failure);
    return keepRecord(parts, { ...reply.record(NOTHING_USED), ran });
  });
  await Promise.all(records);
}
