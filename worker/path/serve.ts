/** Having a call handled by an instance, and by another one when the first did not begin it. */

import type { Invocation } from "../../functions/model/invocation.ts";
import { takeBody } from "../../functions/transport/bodies.ts";
import type { Failure } from "../../sandbox-core/protocol/frames.ts";
import type { Loadable } from "../code/bundles.ts";
import { type CallInput, describe, type RunningCall, TurnLost, type Usage } from "../instance/call.ts";
import { cancel, clientGone, type Departure } from "../instance/departures.ts";
import type { Intake } from "../instance/intake.ts";
import type { CallLog } from "../outcome/call-log.ts";
import { CallFailure, type Cause } from "../outcome/outcome.ts";
import type { Lease } from "../pool/lease.ts";
import type { CallReply } from "./reply.ts";
import type { CallSpans, Step } from "./spans.ts";
import { type Parts, usageAttributes } from "./steps.ts";

/** A call may lose its turn so often to calls that take long before it gets an instance to itself. */
const MOST_TURNS_LOST = 2;
/** Most instances that may end before they begin a call: what they say of that is not believed for ever. */
const MOST_DEATHS = 5;

/** One call on its way through a worker. */
export interface Course {
  parts: Parts;
  invocation: Invocation;
  departure: Departure;
  reply: CallReply;
  log: CallLog;
  spans: CallSpans;
  /** Its instance, the last of them. */
  lease: Lease | undefined;
  /** The request's body, once it was taken out of Redis. */
  body: Uint8Array | undefined;
}

/** How a function's reply ended, and when the function left nothing running. */
export interface Served {
  failure: Failure | null;
  idle: Promise<Usage>;
}

/** @throws CallFailure when nobody waits for the answer any more. */
export function refuseIfOver({ invocation: { expiresAtMs }, departure }: Course): void {
  if (departure.hasLeft) throw clientGone();
  if (Date.now() > expiresAtMs) throw new CallFailure("platform_error", "EXPIRED");
}

/** Has an instance handle a call: the steps acquire, load when an instance was started for it, and handler. */
export async function serve(course: Course, loadable: Loadable): Promise<Served> {
  const deaths: CallFailure[] = [];
  for (let turnsLost = 0; ; turnsLost++) {
    refuseIfOver(course);
    const lease = await acquire(course, loadable, turnsLost);
    course.lease = lease;
    const served = await course.spans.step("handler", (step) => handle(course, lease, step));
    if (!(served instanceof TurnLost)) return served;
    lease.release();
    if (served.death !== null && deaths.push(served.death) >= MOST_DEATHS) throw served.death;
  }
}

async function acquire(course: Course, loadable: Loadable, turnsLost: number): Promise<Lease> {
  const { parts, invocation, departure, log, spans } = course;
  const { expiresAtMs, request } = invocation;
  // A body that is not here yet would keep others waiting; and a call is not put off for ever.
  const isHere = request.body === null || "inlineBase64" in request.body || course.body !== undefined;
  const mayShare = turnsLost < MOST_TURNS_LOST && isHere;
  const lease = await spans.step("acquire", async (step) => {
    const acquired = await parts.pool.acquire({ ...loadable, expiresAtMs, departure, mayShare, log });
    const { kind } = acquired.start;
    step.set({ "sandpiper.start": kind, "faas.coldstart": kind !== "warm" });
    return acquired;
  });
  const { loadedAtMs, initMs } = lease.start;
  if (loadedAtMs > 0) spans.past("load", loadedAtMs - initMs, loadedAtMs);
  return lease;
}

/** Sends the request and takes the reply, whose parts go to the answer as they come. */
async function handle(course: Course, lease: Lease, step: Step): Promise<Served | TurnLost> {
  const { parts, invocation, departure, reply, log } = course;
  const { instance } = lease;
  course.body ??= await bodyOf(course);
  if (departure.hasLeft) throw clientGone();
  const running = begin(course, lease, course.body, step);
  if (running instanceof TurnLost) return running;
  departure.whenLeft(() => {
    // What was answered whole is over for its client: work that goes on has its time.
    if (reply.outcome !== null) return;
    reply.fail(clientGone());
    cancel({ running, instance, departure, mayEnd: () => parts.departures.mayEnd(invocation) });
  });
  const failure = await running.replied.catch(unlessLost);
  if (failure instanceof TurnLost) return failure;
  if (failure !== null) log.add("error", "console", describe(failure));
  if (step.isRecording) step.set({ ...usageAttributes(instance), "http.response.status_code": reply.status });
  return { failure, idle: running.idle };
}

function begin(course: Course, lease: Lease, body: Uint8Array, step: Step): RunningCall | TurnLost {
  const { parts, invocation, reply, log } = course;
  const { method, url, path, headers, remoteAddress } = invocation.request;
  const keepTo = (exceeded: Cause | null) => {
    if (exceeded !== null) lease.instance.end(exceeded);
    else if (reply.isStreaming) pace(lease.instance.intake, () => parts.untilTaken(invocation.replyTo));
  };
  const input: CallInput = {
    request: { invocationId: invocation.id, method, url, path, headers, remoteAddress, ...step.traceContext },
    body,
    log,
    onBegin: () => reply.begin(lease.start),
    onHead: (head) => keepTo(reply.head(head)),
    onChunk: (bytes) => keepTo(reply.chunk(bytes)),
  };
  try {
    return lease.call(input);
  } catch (error) {
    return unlessLost(error);
  }
}

function unlessLost(error: unknown): TurnLost {
  if (error instanceof TurnLost) return error;
  throw error;
}

async function bodyOf({ parts, invocation: { request } }: Course): Promise<Uint8Array> {
  const body = request.body === null ? NO_BODY : await takeBody(parts.redis, request.body);
  if (body === null) throw new CallFailure("platform_error", "BODY_LOST");
  return body;
}

/** Reads no more of a sandbox until there is room for what it says, and so has it wait. */
function pace(intake: Intake, room: () => Promise<void> | null): void {
  const ready = intake.isHeld ? null : room();
  if (ready !== null) intake.hold(ready);
}

const NO_BODY = new Uint8Array(0);
