/** The short steps of a call's path; invoke.ts puts them in order. */
import { bytesOf, dropBody } from "../../functions/transport/bodies.ts";
import { INLINE_REPLY_BYTES } from "../../functions/transport/reply-frames.ts";
import type { Failure } from "../../sandbox-core/protocol/frames.ts";
import type { Loadable } from "../code/bundles.ts";
import { CallFailure } from "../outcome/outcome.ts";
import type { Start } from "../pool/instance-lease.ts";
import type { Lease } from "../pool/lease.ts";
import type { CallContext } from "./context.ts";
import { keepRecord, NOTHING_USED } from "./record.ts";
import type { CallSpans, Step } from "./spans.ts";

/** The version of the call, and its code. */
export function findBundle({ parts: { bundles }, invocation }: CallContext, step: Step): Promise<Loadable> {
  step.set({ "sandpiper.bundle": bundles.has(invocation) ? "hit" : "miss" });
  return bundles.get(invocation);
}

/** Leases an instance; the spans tell of instances that come after the first, too. */
export async function acquire(call: CallContext, loadable: Loadable, step: Step): Promise<Lease> {
  const { parts, departure, expiresAtMs, log, spans } = call;
  const { request } = call.invocation;
  // A body that is not here yet would keep others waiting.
  const mayShare = request.body === null || "inlineBase64" in request.body;
  const onExchanged = (start: Start, beganAtMs: number) => {
    spans.past("acquire", beganAtMs, Date.now(), startAttributes(start));
    showLoad(spans, start);
  };
  const lease = await parts.pool.acquire({ ...loadable, expiresAtMs, departure, mayShare, log, onExchanged });
  call.lease = lease;
  step.set(startAttributes(lease.start));
  showLoad(spans, lease.start);
  return lease;
}

function startAttributes({ kind }: Start) {
  return { "sandpiper.start": kind, "faas.coldstart": kind !== "warm" };
}

function showLoad(spans: CallSpans, { loadedAtMs, initMs }: Start): void {
  if (loadedAtMs > 0) spans.past("load", loadedAtMs - initMs, loadedAtMs);
}

/**
 * Sends what a function replied. A long reply waits until its gateway has taken what was sent
 * before.
 */
export async function respond(call: CallContext, failure: Failure | null, step: Step): Promise<void> {
  const { parts, invocation, reply } = call;
  reply.stopClock();
  const isLong = !reply.isStreaming && reply.bytes > INLINE_REPLY_BYTES;
  if (failure === null && isLong) await parts.untilTaken(invocation.replyTo);
  reply.finish(failure, step);
}

/** Answers a call that something kept from its reply. */
export async function fail({ reply, log, spans }: CallContext, error: unknown): Promise<void> {
  const failure = CallFailure.from(error);
  if (reply.outcome === "ok") log.say("warn", `After its reply: ${failure.message}`);
  if (reply.outcome === null) await spans.step("respond", (step) => reply.fail(failure, step));
}

/** Gives the instance back and keeps the log and the record of a call. */
export async function end(call: CallContext): Promise<void> {
  const { parts, lease, reply, log, spans } = call;
  const usage = call.usage ?? lease?.instance.usage() ?? NOTHING_USED;
  lease?.release();
  // The body of a call that reached no instance is for nobody.
  if (!call.isBodyTaken) void dropBody(parts.redis, call.invocation.request.body);
  // Records are gathered for some milliseconds, in which another call may run.
  call.onEnded();
  const used = reply.used(usage, call.body?.bytes ?? bytesOf(call.invocation.request.body));
  if (used !== null) parts.usage.count(call.invocation, used);
  // Lines about its last connections come before its record, as that ends its log.
  const egress = call.egress?.isOver === true ? await call.egress.account() : undefined;
  log.flush();
  await keepRecord(parts, { ...reply.record(usage, spans.traceId), ...(egress && { egress }) });
}
