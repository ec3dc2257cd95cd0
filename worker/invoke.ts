/** The path of one call through a worker. */
import type { Invocation } from "../functions/invocation.ts";
import { Answer } from "./answer.ts";
import type { Usage } from "./call.ts";
import { CallLog } from "./call-log.ts";
import type { Lease } from "./lease.ts";
import { CallFailure } from "./outcome.ts";
import {
  acquire,
  findBundle,
  type Handled,
  handle,
  keepRecord,
  type Parts,
  refuseIfExpired,
  respond,
  usageOf,
  writeLog,
} from "./steps.ts";
import { startTrail } from "./trail.ts";

/**
 * Runs a call and answers it. Never rejects; resolves when it is recorded.
 * @param onEnded told when nothing of it runs any more
 */
export async function invoke(parts: Parts, invocation: Invocation, onEnded: () => void): Promise<void> {
  const trail = startTrail(invocation);
  const answer = new Answer(invocation, parts);
  const log = new CallLog(invocation.id, (records) => writeLog(parts, invocation, records));
  let lease: Lease | undefined;
  let usage: Usage | undefined;
  try {
    const loadable = await trail.step("bundle", (step) => findBundle(parts, invocation, step));
    let running: Handled | null = null;
    for (let turnsLost = 0; running === null; turnsLost++) {
      refuseIfExpired(invocation);
      const leased = await acquire(parts, invocation, loadable, log, trail, turnsLost);
      lease = leased;
      running = await trail.step("handler", (step) => handle(parts, invocation, leased, { answer, log, step }));
    }
    const { failure } = running;
    await trail.step("respond", (step) => respond(parts, invocation, answer, failure, step));
    usage = await running.idle;
  } catch (error) {
    const failure = CallFailure.from(error);
    if (answer.outcome === "ok") log.say("warn", `After its reply: ${failure.message}`);
    if (answer.outcome === null) await trail.step("respond", (step) => answer.fail(failure, step));
  }
  usage ??= usageOf(lease);
  lease?.release();
  // Records are gathered for some milliseconds, in which another call may run.
  onEnded();
  log.flush();
  await keepRecord(parts, answer.record(usage, trail.traceId));
}
