/**
 * An invocation: one request to run a function, from the gateway that admitted it to the reply that answers it.
 * These shapes travel through Redis; transport/invocation-queue.ts carries invocations to a worker, transport/reply-sender.ts carries replies back.
 */

import { KIB } from "../../infra/std/bytes.ts";

/** How an invocation ended: a closed set. `cancelled`: its client left before the answer was complete. */
export const OUTCOMES = [
  "ok",
  "function_error",
  "timeout",
  "out_of_memory",
  "killed",
  "cancelled",
  "platform_error",
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Header fields as raw pairs, in order; several fields of one name stay several. Names are lower case. */
export type HeaderPairs = [name: string, value: string][];

/** How much of a request besides its body can be told to a function: what the wire to a sandbox takes. */
export const REQUEST_LIMITS = {
  headers: 128,
  headerNameLength: 256,
  headerValueLength: 16 * KIB,
  /** All names and values together. */
  headersLength: 64 * KIB,
  urlLength: 32 * KIB,
};

/**
 * A body on its way through Redis: small ones travel inline as base64, larger ones beside the job under a key of
 * their own (see transport/bodies.ts), which is removed when it is taken and expires if nobody does.
 */
export type BodyInTransit = { inlineBase64: string } | { key: string; bytes: number };

/** Names one immutable version of one tenant's function. */
export interface VersionRef {
  tenant: string;
  functionName: string;
  /** Digest of the version: 64 lower-case hex digits. */
  version: string;
}

/** What a worker needs to run one call. */
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
  /** W3C trace context of the enqueue span. */
  traceparent?: string;
  tracestate?: string;
  /** Unix time in milliseconds at which the gateway queued it. */
  enqueuedAtMs: number;
  /** Unix time in milliseconds after which nobody waits for the answer: a worker drops it unrun. */
  expiresAtMs: number;
}

/**
 * How an instance was come by: `cold` made a sandbox, `prewarmed` loaded a blank one, `forked` is a copy of one that was slow
 * to load, `warm` was there already.
 */
export type StartKind = "cold" | "prewarmed" | "forked" | "warm";

/** Where the time of a call went, in milliseconds. */
export interface CallTiming {
  queueMs: number;
  /** Getting a sandbox, or a copy in one: 0 for a warm instance. */
  sandboxMs: number;
  /** Loading the version into it: 0 for a warm instance and a copy. */
  initMs: number;
  handlerMs: number;
}

/** An error as a client may see it: a code of errors.ts and a sentence, never a stack trace. */
export interface PublicError {
  code: string;
  message: string;
}

/** What a worker sends back: one `head`, and for a streaming reply `chunk`s and one `end`. */
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
      timing: CallTiming;
      start: StartKind;
      /** true: `chunk`s and an `end` follow, and `outcome` is what is known so far. */
      streaming: boolean;
      body: Uint8Array;
    }
  | { kind: "chunk"; id: string; body: Uint8Array }
  | { kind: "end"; id: string; outcome: Outcome; error?: PublicError };

/** What is recorded of an execution: at most one for each invocation, and the last record of its log. */
export interface InvocationRecord extends VersionRef {
  id: string;
  outcome: Outcome;
  error?: PublicError;
  status: number;
  start: StartKind;
  timing: CallTiming;
  cpuMs: number;
  peakMemoryBytes: number;
  startedAtMs: number;
  endedAtMs: number;
  traceId?: string;
}

/** One line of a function's log. Text is as the function wrote it, cut to a limit: escape it before a terminal sees it. */
export interface LogRecord {
  invocationId: string | null;
  timeMs: number;
  level: "debug" | "info" | "warn" | "error";
  /** console: console.*; stdout, stderr: written straight to the descriptors; platform: said by Sandpiper. */
  source: "console" | "stdout" | "stderr" | "platform";
  text: string;
}
