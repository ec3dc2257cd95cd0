/**
 * One call's answer: what workers reply becomes an HTTP response, whatever a function put into it.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { shortVersion } from "../../functions/model/alias.ts";
import { SandpiperError, statusOf } from "../../functions/model/errors.ts";
import type { CallTiming, Outcome, PublicError, Reply } from "../../functions/model/invocation.ts";
import { asBuffer } from "../../functions/transport/bodies.ts";
import { KIB } from "../../infra/std/bytes.ts";
import type { Budget, Holder } from "../http/budget.ts";
import { sendError } from "../http/error-reply.ts";
import { announcedLength, reasonPhrase, replyHeaders } from "./headers.ts";
import type { Site } from "./site.ts";
import type { WaitingCall } from "./waiting-calls.ts";

type Head = Extract<Reply, { kind: "head" }>;

/** The facts of an answer that has ended. */
export interface Ending {
  status: number;
  outcome: Outcome | null;
  error: PublicError | null;
  /** Time of the handler, of a call that went well. */
  handlerMs?: number;
}

export interface ExchangeOptions {
  id: string;
  deadlineMs: number;
  request: IncomingMessage;
  response: ServerResponse;
  site: Site;
  /** The version that answers. */
  version: string;
  /** Memory that all answers which clients have not read yet may hold together. */
  budget: Budget;
  /**
   * Told when the client left before its answer was complete, or was too slow to be given all of
   * it.
   */
  onLeft: () => void;
  /** Told once: the call has ended, its client is gone or was answered. */
  onEnd: (ending: Ending) => void;
}

/** Where no code says more exactly how it ended. */
const CODE_OF_OUTCOME: Record<Exclude<Outcome, "ok">, string> = {
  function_error: "FUNCTION_ERROR",
  timeout: "TIMEOUT",
  out_of_memory: "OUT_OF_MEMORY",
  killed: "KILLED",
  cancelled: "CLIENT_GONE",
  platform_error: "INTERNAL",
};

/** Statuses whose responses have no body (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5). */
const BODYLESS = new Set([204, 205, 304]);

const NOTHING = new Uint8Array(0);
/** Up to here it is cheaper to copy a body than to send one more piece. */
const SHORT_BYTES = 16 * KIB;

export class Exchange implements WaitingCall, Holder {
  readonly id: string;
  readonly deadlineMs: number;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #site: Site;
  readonly #version: string;
  readonly #budget: Budget;
  readonly #onLeft: () => void;
  readonly #onEnd: (ending: Ending) => void;
  #ended = false;
  /** Whether what the function sends as a body is dropped, as none may follow the header fields. */
  #bodyless = false;
  /** How it goes so far. */
  #outcome: Outcome | null = null;
  #handlerMs = 0;

  constructor(options: ExchangeOptions) {
    this.id = options.id;
    this.deadlineMs = options.deadlineMs;
    this.#request = options.request;
    this.#response = options.response;
    this.#site = options.site;
    this.#version = shortVersion(options.version);
    this.#budget = options.budget;
    this.#onLeft = options.onLeft;
    this.#onEnd = options.onEnd;
    // Once a response is over, by whichever end, nothing of it is held any more.
    this.#response.once("close", () => {
      this.#leave();
      this.#hold(0);
    });
  }

  /** Whether its client was answered, or is gone. */
  get hasEnded(): boolean {
    return this.#ended;
  }

  onReply(reply: Reply): void {
    if (this.#ended) return;
    if (reply.kind === "head") this.#onHead(reply);
    else if (!this.#response.headersSent) this.fail(new SandpiperError("INTERNAL"));
    else if (reply.kind === "chunk") this.#write(reply.body);
    else this.#onEndOfStream(reply.outcome, reply.error ?? null);
  }

  fail(error: SandpiperError): void {
    if (this.#ended) return;
    sendError(this.#request, this.#response, error, this.id);
    this.#end(error);
  }

  /** Answers with an error, or breaks off, a call that a worker may have. */
  abandon(error: SandpiperError): void {
    if (this.#ended) return;
    this.#onLeft();
    if (this.#response.headersSent) this.#breakOff("platform_error", error);
    else this.fail(error);
  }

  #onHead(head: Head): void {
    // A second head means that the first one's worker was lost in the middle of its stream.
    if (this.#response.headersSent) this.#breakOff(head.outcome, head.error ?? null);
    else if (head.outcome !== "ok") this.#sendFailure(head);
    else this.#sendReply(head);
  }

  #sendFailure(head: Head): void {
    this.#outcome = head.outcome;
    const code = CODE_OF_OUTCOME[head.outcome as Exclude<Outcome, "ok">] ?? "INTERNAL";
    const error = head.error ?? { code, message: new SandpiperError("INTERNAL").message };
    const told = { ...error, thrown: head.thrown };
    sendError(this.#request, this.#response, told, this.id, described(head.outcome, head.timing, this.#version));
    this.#end(error);
  }

  #sendReply(head: Head): void {
    const headers = replyHeaders(head.headers, this.#site);
    const problem = headers.ok ? statusProblem(head.status) : headers.problem;
    if (!headers.ok || problem !== null) {
      const error = new SandpiperError("INVALID_REPLY", {
        message: `The function's reply is no HTTP response: ${problem}.`,
      });
      this.#sendFailure({ ...head, outcome: "function_error", error });
      return;
    }
    this.#outcome = "ok";
    this.#handlerMs = head.timing.handlerMs;
    const raw = headers.raw;
    const length = this.#lengthOf(head);
    if (length !== null) raw.push("content-length", length);
    raw.push("x-request-id", this.id, ...described("ok", head.timing, this.#version));
    this.#response.writeHead(head.status, reasonPhrase(head.statusText), raw);
    this.#bodyless = BODYLESS.has(head.status) || this.#request.method === "HEAD";
    if (!head.streaming) this.#finish(head.body, head.more);
    else if (bytesOf(head) > 0) for (const piece of [head.body, ...(head.more ?? [])]) this.#write(piece);
    // Node would keep it until the first byte of the body, which may be long in coming.
    else this.#response.flushHeaders();
  }

  /**
   * The only `content-length` that a response may have: that of what is sent, or for HEAD of what
   * GET would send.
   */
  #lengthOf(head: Head): string | null {
    if (head.status === 205) return "0";
    if (BODYLESS.has(head.status)) return null;
    // A function need not make the body that nobody gets: how long it would be is unknown then (RFC
    // 9110, section 9.3.2).
    const bytes = bytesOf(head);
    if (this.#request.method === "HEAD" && bytes === 0) return announcedLength(head.headers);
    return head.streaming ? null : String(bytes);
  }

  #onEndOfStream(outcome: Outcome, error: PublicError | null): void {
    if (outcome === "ok") this.#finish(NOTHING);
    else this.#breakOff(outcome, error);
  }

  #write(bytes: Uint8Array): void {
    if (bytes.byteLength === 0 || this.#bodyless) return;
    this.#response.write(bytes, () => this.#holdUnsent());
    this.#holdUnsent();
  }

  #finish(bytes: Uint8Array, more: readonly Uint8Array[] = []): void {
    if (bytes.byteLength === 0 || this.#bodyless) this.#response.end();
    else if (more.length > 0) this.#finishInPieces([bytes, ...more]);
    // Node sends a text in one piece with the header fields, bytes in a piece of their own.
    else if (bytes.byteLength <= SHORT_BYTES) this.#response.end(asBuffer(bytes).toString("latin1"), "latin1");
    else this.#response.end(bytes);
    this.#end(null);
    this.#holdUnsent();
  }

  /** Header fields and all pieces leave together, and are not copied for that. */
  #finishInPieces(pieces: readonly Uint8Array[]): void {
    this.#response.cork();
    for (const piece of pieces) this.#response.write(piece, () => this.#holdUnsent());
    this.#response.end();
    this.#response.uncork();
  }

  #holdUnsent(): void {
    this.#hold(this.#response.destroyed ? 0 : this.#response.writableLength);
  }

  /** A client that reads slower than its function writes may not use up the memory of all. */
  #hold(bytes: number): void {
    if (!this.#budget.hold(this, bytes)) this.letGo();
  }

  /** Breaks off an answer, ended or not, that its client is too slow for. */
  letGo(): void {
    if (!this.#ended) this.#onLeft();
    this.#breakOff("platform_error", new SandpiperError("OVERLOADED"));
  }

  /**
   * The status line was sent: the only way left to say that the answer is not whole is to end the
   * connection.
   */
  #breakOff(outcome: Outcome, error: PublicError | null): void {
    this.#outcome = outcome;
    this.#response.destroy();
    this.#end(error);
  }

  /** The client left. */
  #leave(): void {
    if (this.#ended) return;
    this.#outcome = "cancelled";
    this.#onLeft();
    this.#end(new SandpiperError("CLIENT_GONE"));
  }

  #end(error: PublicError | null): void {
    if (this.#ended) return;
    this.#ended = true;
    const unsent = this.#outcome === "cancelled" && !this.#response.headersSent;
    const status = unsent ? statusOf("CLIENT_GONE") : this.#response.statusCode;
    this.#onEnd({ status, outcome: this.#outcome, error, handlerMs: this.#handlerMs });
  }
}

function bytesOf({ body, more = [] }: Head): number {
  return more.reduce((sum, piece) => sum + piece.byteLength, body.byteLength);
}

/** The header fields that say how the call went and where its time was spent. */
function described(outcome: Outcome, { queueMs, sandboxMs, initMs, handlerMs }: CallTiming, version: string): string[] {
  const timing = `queue;dur=${ms(queueMs)}, sandbox;dur=${ms(sandboxMs)}, init;dur=${ms(initMs)}, handler;dur=${ms(handlerMs)}`;
  return ["x-sandpiper-outcome", outcome, "x-sandpiper-version", version, "server-timing", timing];
}

function ms(value: number): number {
  return Math.round(value * 100) / 100;
}

/** The fault of a status as a sentence's end, or null. 1xx would not end the exchange. */
function statusProblem(status: number): string | null {
  return Number.isInteger(status) && status >= 200 && status <= 599 ? null : `its status is ${status}`;
}
