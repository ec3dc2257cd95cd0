/** The context of one call, which its steps share. */
import type { Redis } from "ioredis";
import type { Invocation, InvocationRecord, Reply } from "../../functions/model/invocation.ts";
import type { BodyFetcher } from "../../functions/transport/body-fetcher.ts";
import type { BodyStream } from "../../functions/transport/body-stream.ts";
import type { Bundles } from "../code/bundles.ts";
import type { Usage } from "../instance/call.ts";
import type { Departure, Departures } from "../instance/departures.ts";
import { CallLog } from "../outcome/call-log.ts";
import type { EgressReport } from "../outcome/egress-report.ts";
import type { Lease } from "../pool/lease.ts";
import type { Pool } from "../pool/pool.ts";
import { writeLog } from "./record.ts";
import { CallReply, type ReplyLimits } from "./reply.ts";
import { type CallSpans, startSpans } from "./spans.ts";
import type { UsageMeter } from "./usage-meter.ts";

/** The parts of a worker that calls run with. */
export interface Parts {
  redis: Redis;
  bundles: Bundles;
  pool: Pool;
  departures: Departures;
  usage: UsageMeter;
  limits: ReplyLimits;
  sendReply(gatewayId: string, reply: Reply): void;
  /** null when a gateway keeps up with the replies to it; else what resolves when it does. */
  untilTaken(gatewayId: string): Promise<void> | null;
  /** Gets the bodies that gateways keep. */
  bodies: BodyFetcher;
  /** Told of each call that has ended. */
  onRecord?(record: InvocationRecord): void;
  /** Told of what could not be recorded. */
  onTrouble(message: string, cause?: unknown): void;
}

export interface CallContext {
  readonly parts: Parts;
  readonly invocation: Invocation;
  /** Says when the client leaves. */
  readonly departure: Departure;
  readonly spans: CallSpans;
  readonly reply: CallReply;
  readonly log: CallLog;
  /** Unix time in milliseconds after which the call is no longer worth serving. */
  readonly expiresAtMs: number;
  /** Told when nothing of the call runs any more. */
  readonly onEnded: () => void;
  /** Set by the step `acquire`. */
  lease: Lease | undefined;
  /** The account of its connections; set by the step `handler`. */
  egress: EgressReport | undefined;
  /** Whether the request's body was taken from where the gateway put it. */
  isBodyTaken: boolean;
  /** The request's body, where it comes while the call runs. */
  body: BodyStream | undefined;
  /** Set once the call has ended by itself. */
  usage: Usage | undefined;
}

/** A call that a worker has just taken. */
export type TakenCall = Pick<CallContext, "invocation" | "departure" | "onEnded">;

export function openCall(parts: Parts, taken: TakenCall): CallContext {
  const { invocation } = taken;
  const { expiresAtMs } = invocation;
  const spans = startSpans(invocation);
  const reply = new CallReply(invocation, parts);
  const log = new CallLog(invocation.id, (records) => writeLog(parts, invocation, records));
  const later = { lease: undefined, egress: undefined, isBodyTaken: false, body: undefined, usage: undefined };
  return { parts, ...taken, expiresAtMs, spans, reply, log, ...later };
}
