/** Calls that no worker runs: they waited too long, or the worker that had them is gone. */
import type { Invocation } from "../../functions/model/invocation.ts";
import { CallFailure } from "../outcome/outcome.ts";
import { CallReply } from "./reply.ts";
import { keepRecord, NOTHING_USED, type Parts } from "./steps.ts";

/** Answers calls whose worker died. They may have run; one that was recorded before keeps its record. */
export function failLost(parts: Parts, calls: Invocation[]): Promise<void> {
  return failAll(parts, calls, new CallFailure("platform_error", "WORKER_LOST"));
}

/** Answers calls that waited too long. They did not run. */
export function failExpired(parts: Parts, calls: Invocation[]): Promise<void> {
  return failAll(parts, calls, new CallFailure("platform_error", "EXPIRED"));
}

async function failAll(parts: Parts, calls: Invocation[], failure: CallFailure): Promise<void> {
  const records = calls.map((call) => {
    const reply = new CallReply(call, parts);
    reply.fail(failure);
    return keepRecord(parts, reply.record(NOTHING_USED));
  });
  await Promise.all(records);
}
