/** The path of one call through a worker. */

import type { Invocation } from "../functions/model/invocation.ts";
import { dropBody } from "../functions/transport/bodies.ts";
import type { Usage } from "./instance/call.ts";
import type { Departure } from "./instance/departures.ts";
import { CallLog } from "./outcome/call-log.ts";
import { CallFailure } from "./outcome/outcome.ts";
import { CallReply } from "./path/reply.ts";
import { type Course, refuseIfOver, serve } from "./path/serve.ts";
import { startSpans } from "./path/spans.ts";
import { findBundle, keepRecord, type Parts, respond, usageOf, writeLog } from "./path/steps.ts";

/**
 * Runs a call and answers it. Never rejects; resolves when it is recorded.
 * @param departure says when its client leaves
 * @param onEnded told when nothing of it runs any more
 */
export async function invoke(
  parts: Parts,
  invocation: Invocation,
  departure: Departure,
  onEnded: () => void,
): Promise<void> {
  const spans = startSpans(invocation);
  const reply = new CallReply(invocation, parts);
  const log = new CallLog(invocation.id, (records) => writeLog(parts, invocation, records));
  const course: Course = { parts, invocation, departure, reply, log, spans, lease: undefined, body: undefined };
  let usage: Usage | undefined;
  try {
    refuseIfOver(course);
    const loadable = await spans.step("bundle", (step) => findBundle(parts, invocation, step));
    const { failure, idle } = await serve(course, loadable);
    await spans.step("respond", (step) => respond(parts, invocation, reply, failure, step));
    usage = await idle;
  } catch (error) {
    const failure = CallFailure.from(error);
    if (reply.outcome === "ok") log.say("warn", `After its reply: ${failure.message}`);
    if (reply.outcome === null) await spans.step("respond", (step) => reply.fail(failure, step));
  }
  usage ??= usageOf(course.lease);
  course.lease?.release();
  // A call that reached no instance leaves its body where the gateway put it.
  if (course.body === undefined) void dropBody(parts.redis, invocation.request.body);
  // Records are gathered for some milliseconds, in which another call may run.
  onEnded();
  log.flush();
  await keepRecord(parts, reply.record(usage, spans.traceId));
}
