/** The steps of a call's path that take more than a line; invoke.ts puts them in order. */
import type { Attributes } from "@opentelemetry/api";
import type { Redis } from "ioredis";
import { takeBody } from "../functions/bodies.ts";
import type { Invocation, InvocationRecord, LogRecord, Reply, VersionRef } from "../functions/invocation.ts";
import { appendLogs, recordInvocation } from "../functions/logs.ts";
import { INLINE_REPLY_BYTES } from "../functions/reply.ts";
import type { Sandbox } from "../sandbox-core/index.ts";
import type { Failure } from "../sandbox-core/protocol/frames.ts";
import type { Answer, ReplyLimits } from "./answer.ts";
import type { Bundles, Loadable } from "./bundles.ts";
import { type CallInput, describe, TurnLost, type Usage } from "./call.ts";
import type { CallLog } from "./call-log.ts";
import type { Instance } from "./instance.ts";
import type { Lease } from "./lease.ts";
import { CallFailure, type Cause } from "./outcome.ts";
import type { Pool } from "./pool.ts";
import type { Step, Trail } from "./trail.ts";

/** What a worker runs calls with. */
export interface Parts {
  redis: Redis;
  bundles: Bundles;
  pool: Pool;
  limits: ReplyLimits;
  sendReply(gatewayId: string, reply: Reply): void;
  /** null when a gateway keeps up with the replies to it; else what resolves when it does. */
  replyRoom(gatewayId: string): Promise<void> | null;
  /** Told of what could not be recorded. */
  onTrouble(message: string, cause?: unknown): void;
}

/** @throws CallFailure EXPIRED when nobody waits for the answer any more. */
export function refuseIfExpired({ expiresAtMs }: Invocation): void {
  if (Date.now() > expiresAtMs) throw new CallFailure("platform_error", "EXPIRED");
}

export function findBundle({ bundles }: Parts, invocation: Invocation, step: Step): Promise<Loadable> {
  step.set({ "sandpiper.bundle": bundles.has(invocation) ? "hit" : "miss" });
  return bundles.get(invocation);
}

/** Leases an instance: the steps acquire and, when one was started for this call, load. */
export async function acquire(
  { pool }: Parts,
  { expiresAtMs, request }: Invocation,
  loadable: Loadable,
  log: CallLog,
  trail: Trail,
  turnsLost: number,
): Promise<Lease> {
  // A body that is not here yet would keep others waiting; and a call is not put off for ever.
  const mayShare = turnsLost < MOST_TURNS_LOST && (request.body === null || "inlineBase64" in request.body);
  const lease = await trail.step("acquire", async (step) => {
    const acquired = await pool.acquire({ ...loadable, expiresAtMs, mayShare, log });
    const { kind } = acquired.start;
    step.set({ "sandpiper.start": kind, "faas.coldstart": kind !== "warm" });
    return acquired;
  });
  const { loadedAtMs, initMs } = lease.start;
  if (loadedAtMs > 0) trail.past("load", loadedAtMs - initMs, loadedAtMs);
  return lease;
}

/** What the handler step leaves: how the reply ended, and when the function left nothing running. */
export interface Handled {
  failure: Failure | null;
  idle: Promise<Usage>;
}

/**
 * Sends the request and takes the reply, whose parts go to the answer as they come. Gives null, and the lease back, when
 * the call's turn did not come.
 */
export async function handle(
  parts: Parts,
  invocation: Invocation,
  lease: Lease,
  { answer, log, step }: { answer: Answer; log: CallLog; step: Step },
): Promise<Handled | null> {
  const { instance } = lease;
  const { id, request, replyTo } = invocation;
  const body = request.body === null ? NO_BODY : await takeBody(parts.redis, request.body);
  if (body === null) throw new CallFailure("platform_error", "BODY_LOST");
  const { method, url, path, headers, remoteAddress } = request;
  const keepTo = (exceeded: Cause | null) => {
    if (exceeded !== null) instance.end(exceeded);
    else if (answer.isStreaming) pace(instance.sandbox, () => parts.replyRoom(replyTo));
  };
  const input: CallInput = {
    request: { invocationId: id, method, url, path, headers, remoteAddress, ...step.traceContext },
    body,
    log,
    onBegin: () => answer.begin(lease.start),
    onHead: (head) => keepTo(answer.head(head)),
    onChunk: (bytes) => keepTo(answer.chunk(bytes)),
  };
  const running = await reply(lease, input);
  if (running === null) return null;
  const { failure, idle } = running;
  if (failure !== null) log.add("error", "console", describe(failure));
  if (step.isRecording) step.set({ ...usageAttributes(instance), "http.response.status_code": answer.status });
  return { failure, idle };
}

/** Reads no more of a sandbox until there is room for what it says, and so has it wait. */
function pace({ wire }: Sandbox, room: () => Promise<void> | null): void {
  const ready = wire.isPaused() ? null : room();
  if (ready === null) return;
  wire.pause();
  void ready.then(() => wire.resume());
}

async function reply(lease: Lease, input: CallInput): Promise<Handled | null> {
  try {
    const { replied, idle } = lease.call(input);
    return { failure: await replied, idle };
  } catch (error) {
    if (!(error instanceof TurnLost)) throw error;
    lease.release();
    return null;
  }
}

/** Sends what a function replied. A long reply waits until its gateway has taken what was sent before. */
export async function respond(
  { replyRoom }: Parts,
  { replyTo }: Invocation,
  answer: Answer,
  failure: Failure | null,
  step: Step,
): Promise<void> {
  answer.stopClock();
  if (failure === null && !answer.isStreaming && answer.bytes > INLINE_REPLY_BYTES) await replyRoom(replyTo);
  answer.finish(failure, step);
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

function usageAttributes(instance: Instance): Attributes {
  const { cpuMs, peakMemoryBytes } = instance.usage();
  return { "sandpiper.cpu_ms": cpuMs, "sandpiper.peak_memory_bytes": peakMemoryBytes };
}

/** So often a call may lose its turn before it gets an instance to itself. */
const MOST_TURNS_LOST = 2;
export const NOTHING_USED: Usage = { cpuMs: 0, peakMemoryBytes: 0 };
const NO_BODY = new Uint8Array(0);
