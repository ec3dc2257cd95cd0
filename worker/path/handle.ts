/**
 * The step in which a function handles a call: the request goes to an instance, and the reply's
 * parts come back.
 */
import type { BodyInTransit } from "../../functions/model/invocation.ts";
import { takeBody } from "../../functions/transport/bodies.ts";
import { BodyStream } from "../../functions/transport/body-stream.ts";
import { KIB } from "../../infra/std/bytes.ts";
import { type CallInput, describe } from "../instance/call.ts";
import { clientGone } from "../instance/departures.ts";
import type { Instance } from "../instance/instance.ts";
import type { Intake } from "../instance/intake.ts";
import { EgressReport } from "../outcome/egress-report.ts";
import { bodyLost, CallFailure, type Cause } from "../outcome/outcome.ts";
import type { Handled, Lease } from "../pool/lease.ts";
import type { CallContext } from "./context.ts";
import type { Step } from "./spans.ts";

const NO_BODY = new Uint8Array(0);
/** A body up to here is given to its function in one piece. */
const MAX_WHOLE_BYTES = 256 * KIB;

/** Sends the request and takes the reply. @throws CallFailure when the function gives none */
export async function handle(call: CallContext, lease: Lease, step: Step): Promise<Handled> {
  const body = await bodyOf(call);
  if (body instanceof BodyStream) watchBody(call, body);
  const egress = reportOf(call);
  call.egress = egress;
  const handled = lease.call(inputOf(call, lease, { body, step, egress }));
  call.departure.begin();
  call.departure.whenLeft(() => cancel(call, lease));
  const { failure, idle } = await handled.catch((error: unknown) => throwUnlessNotToBlame(call, egress, error));
  if (failure !== null && call.body?.isLost) throw bodyLost();
  if (failure !== null) logFailure(call, lease.instance, describe(failure));
  if (failure !== null && (await egress.relayDied(describe(failure)))) throw relayDied();
  if (step.isRecording) step.set(attributesOf(call, lease.instance));
  return { failure, idle };
}

/** The account of the call's connections; holds nothing of the request. */
function reportOf({ invocation: { tenant }, log, spans }: CallContext): EgressReport {
  return new EgressReport(tenant, log, spans.traceId === undefined ? null : spans.past.bind(spans));
}

/**
 * A function whose request or connections the platform broke is not to blame for what it does then.
 */
async function throwUnlessNotToBlame({ body }: CallContext, egress: EgressReport, error: unknown): Promise<never> {
  const isOwnFault = error instanceof CallFailure && error.outcome === "function_error";
  if (isOwnFault && body?.isLost) throw bodyLost();
  throw isOwnFault && (await egress.relayDied(error.message)) ? relayDied(error) : error;
}

function relayDied(cause?: unknown): CallFailure {
  return new CallFailure("platform_error", "EGRESS_LOST", undefined, cause);
}

function logFailure({ log }: CallContext, { networkHint }: Instance, thrown: string): void {
  log.add("error", "console", thrown);
  networkHint.look(thrown, log);
}

/** The request's body: all of a short one, and of a long one what gives it as it comes. */
async function bodyOf(call: CallContext): Promise<Uint8Array | BodyStream> {
  const { parts, invocation } = call;
  const { body } = invocation.request;
  call.isBodyTaken = true;
  if (body === null) return NO_BODY;
  if ("ticket" in body) return bodyBehind(call, body);
  const bytes = await takeBody(parts.redis, body);
  if (bytes === null) throw bodyLost();
  return bytes;
}

async function bodyBehind(
  call: CallContext,
  { ticket, bytes }: Extract<BodyInTransit, { ticket: string }>,
): Promise<Uint8Array | BodyStream> {
  const { parts, invocation, departure } = call;
  const body = await parts.bodies.fetch(invocation.replyTo, invocation.id, ticket);
  if (bytes === null || bytes > MAX_WHOLE_BYTES) return body;
  const stopListening = departure.whenLeft(() => body.cancel());
  const whole = await body.all().catch(() => null);
  stopListening();
  if (departure.hasLeft) throw clientGone();
  if (whole === null) throw bodyLost();
  return whole;
}

/**
 * A client that is gone has left its call. Otherwise a call whose request breaks off has its answer
 * now, unless it is being given already; the function learns of it by its stream.
 */
function watchBody(call: CallContext, body: BodyStream): void {
  call.body = body;
  const { departure, reply } = call;
  body.whenLost((how) => {
    if (how === "gone") departure.leave();
    else if (!reply.isStreaming) reply.fail(bodyLost());
  });
}

function inputOf(
  { parts, invocation, reply, log }: CallContext,
  lease: Lease,
  { body, step, egress }: { body: Uint8Array | BodyStream; step: Step; egress: EgressReport },
): CallInput {
  const { method, url, path, headers, remoteAddress } = invocation.request;
  const keepTo = (exceeded: Cause | null) => {
    if (exceeded !== null) lease.instance.end(exceeded);
    else if (reply.isStreaming) pace(lease.instance.intake, () => parts.untilTaken(invocation.replyTo));
  };
  return {
    request: {
      invocationId: invocation.id,
      ...{ method, url, path, headers, remoteAddress },
      ...(invocation.isEvent && { isEvent: true }),
      ...step.traceContext,
    },
    body,
    log,
    egress,
    onBegin: () => reply.begin(lease.start),
    onHead: (head) => keepTo(reply.head(head)),
    onChunk: (bytes) => keepTo(reply.chunk(bytes)),
  };
}

/**
 * The client left. A call that was answered whole is over for its client: work that goes on has its
 * time.
 */
function cancel({ parts, invocation, reply }: CallContext, lease: Lease): void {
  if (reply.outcome !== null) return;
  reply.fail(clientGone());
  lease.cancel(() => parts.departures.mayEnd(invocation));
}

/**
 * Reads no more of a sandbox until its gateway has taken what was sent, and so has the sandbox
 * wait.
 */
function pace(intake: Intake, untilTaken: () => Promise<void> | null): void {
  const taken = intake.isHeld ? null : untilTaken();
  if (taken !== null) intake.hold(taken);
}

/** The reply's status and what the call has used so far, as a span shows them. */
function attributesOf({ reply }: CallContext, instance: Instance) {
  const { cpuMs, peakMemoryBytes } = instance.usage();
  return {
    "sandpiper.cpu_ms": cpuMs,
    "sandpiper.peak_memory_bytes": peakMemoryBytes,
    "http.response.status_code": reply.status,
  };
}
