/**
 * An invocation: one request to run a function, from the gateway that admitted it to the reply that
 * answers it. These shapes travel through Redis; transport/invocation-queue.ts carries invocations
 * to a worker, transport/reply-sender.ts carries replies back.
 */

import { KIB } from "../../infra/std/bytes.ts";
import type { CallTiming, Outcome, PublicError, StartKind } from "./record.ts";

export type { CallTiming, InvocationRecord, LogRecord, Outcome, PublicError, StartKind } from "./record.ts";

/**
 * Header fields as raw pairs, in order; several fields of one name stay several. Names are lower
 * case.
 */
export type HeaderPairs = [name: string, value: string][];

/**
 * How much of a request besides its body can be told to a function: what the wire to a sandbox
 * takes.
 */
export const REQUEST_LIMITS = {
  headers: 128,
  headerNameLength: 256,
  headerValueLength: 16 * KIB,
  /** All names and values together. */
  headersLength: 64 * KIB,
  urlLength: 32 * KIB,
};

/**
 * A body on its way: small ones travel in the job as base64. Larger ones stay at the gateway, which
 * gives them to whoever has the ticket (see transport/body-desk.ts); `bytes` is null where the
 * client did not say how many they are. Where no worker can dial, they are under a key of Redis
 * (see transport/bodies.ts), which is removed when it is taken and expires if nobody does.
 */
export type BodyInTransit =
  | { inlineBase64: string }
  | { key: string; bytes: number }
  | { ticket: string; bytes: number | null };

/** Names one immutable version of one tenant's function. */
export interface VersionRef {
  tenant: string;
  functionName: string;
  /** Digest of the version: 64 lower-case hex digits. */
  version: string;
}

/** All that a worker needs to run one call. */
export interface Invocation extends VersionRef {
  /** UUID; also the client's `x-request-id`. */
  id: string;
  /** The gateway that waits for the reply. */
  replyTo: string;
  request: {
    method: string;
    /** Absolute, as the client saw it, so that `new URL(url)` works inside the function. */
    url: string;
    /** The part below the function's URL, with the query: "/a/b?c=d". Always starts with "/". */
    path: string;
    headers: HeaderPairs;
    /** The client's address as the gateway saw it. */
    remoteAddress: string;
    body: BodyInTransit | null;
  };
  /**
   * The body is an event for the function itself, which a holder of its tenant's key sent; nothing
   * that comes by a function's URL is one.
   */
  isEvent?: true;
  /** W3C trace context of the enqueue span. */
  traceparent?: string;
  tracestate?: string;
  /** Unix time in milliseconds at which the gateway queued it. */
  enqueuedAtMs: number;
  /** Unix time in milliseconds after which nobody waits for the answer: a worker drops it unrun. */
  expiresAtMs: number;
}

/** A function's failure in Lambda's words; told to whom may read the function's log. */
export interface ThrownError {
  errorType: string;
  errorMessage: string;
  /** Lines of the stack. */
  trace: string[];
}

/** A worker's reply: one `head`, and for a streaming reply `chunk`s and one `end`. */
export type Reply =
  | {
      kind: "head";
      id: string;
      outcome: Outcome;
      status: number;
      /** The reason phrase that the function gave. */
      statusText?: string;
      headers: HeaderPairs;
      /** Set when the outcome is not `ok`. */
      error?: PublicError;
      /** Set when the function was sent an event and failed. */
      thrown?: ThrownError;
      timing: CallTiming;
      start: StartKind;
      /** true: `chunk`s and an `end` follow, and `outcome` is what is known so far. */
      streaming: boolean;
      body: Uint8Array;
      /** Pieces that follow `body`, where it came in several: they are not copied together. */
      more?: readonly Uint8Array[];
    }
  | { kind: "chunk"; id: string; body: Uint8Array; more?: readonly Uint8Array[] }
  | { kind: "end"; id: string; outcome: Outcome; error?: PublicError };
