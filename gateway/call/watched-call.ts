/**
 * One call of a function as its gateway saw it, from its first byte to its last, whatever it came
 * to. Passes everything on to the call's trace, and costs one object.
 */
import type { IncomingMessage } from "node:http";
import type { Invocation, Outcome, PublicError } from "../../functions/model/invocation.ts";
import type { Ending } from "./exchange.ts";
import type { CallTrace } from "./spans.ts";
import type { FunctionTarget } from "./target.ts";

/** Facts of a call that has ended. */
export interface EndedCall {
  readonly id: string;
  readonly method: string;
  /** Its path without the query, in which clients send secrets. */
  readonly path: string;
  /** The address of the client. */
  readonly address: string | undefined;
  /** The function that its URL names; null when it names none. */
  readonly named: Pick<FunctionTarget, "tenant" | "functionName"> | null;
  /** The call itself; null when it was refused before its function was found. */
  readonly invocation: Invocation | null;
  /** Whether the queue was given the call. */
  readonly isSubmitted: boolean;
  /** Unix time in milliseconds. */
  readonly startedAtMs: number;
  readonly tookMs: number;
  readonly status: number;
  /** null when no worker said how it went. */
  readonly outcome: Outcome | null;
  readonly error: PublicError | null;
}

export class WatchedCall implements CallTrace, EndedCall {
  readonly id: string;
  named: FunctionTarget | null;
  readonly startedAtMs = Date.now();
  invocation: Invocation | null = null;
  isSubmitted = false;
  tookMs = 0;
  status = 0;
  outcome: Outcome | null = null;
  error: PublicError | null = null;
  readonly #began = performance.now();
  readonly #request: IncomingMessage;
  readonly #target: string;
  readonly #trace: CallTrace;
  readonly #onEnded: (call: EndedCall) => void;
  #hasEnded = false;

  /**
   * @param target in origin form.
   * @param trace began with this call.
   * @param onEnded told once.
   */
  constructor(
    id: string,
    request: IncomingMessage,
    { target, named }: { target: string; named: FunctionTarget | null },
    trace: CallTrace,
    onEnded: (call: EndedCall) => void,
  ) {
    this.id = id;
    this.named = named;
    this.#request = request;
    this.#target = target;
    this.#trace = trace;
    this.#onEnded = onEnded;
  }

  get method(): string {
    return this.#request.method ?? "GET";
  }

  get path(): string {
    const query = this.#target.indexOf("?");
    return query === -1 ? this.#target : this.#target.slice(0, query);
  }

  get address(): string | undefined {
    return this.invocation?.request.remoteAddress ?? this.#request.socket.remoteAddress;
  }

  /**
   * Gives the call the function's own name, where a preview of it was called. @returns its target
   */
  nameFunction(functionName: string): FunctionTarget | null {
    if (this.named !== null && this.named.functionName !== functionName) this.named = { ...this.named, functionName };
    return this.named;
  }

  describe(invocation: Invocation, target: FunctionTarget): void {
    this.invocation = invocation;
    this.#trace.describe(invocation, target);
  }

  enqueue(invocation: Invocation, send: () => Promise<void>): Promise<void> {
    this.isSubmitted = true;
    return this.#trace.enqueue(invocation, send);
  }

  end(ending: Ending): void {
    this.#trace.end(ending);
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.tookMs = performance.now() - this.#began;
    this.status = ending.status;
    this.outcome = ending.outcome;
    this.error = ending.error;
    this.#onEnded(this);
  }
}

/** Whether Sandpiper refused or gave up a call, or its client did: no worker tells of it. */
export function endedHere({ status, outcome, error }: EndedCall): boolean {
  if (outcome === "cancelled" || error?.code === "OVERLOADED") return true;
  return outcome === null && (status >= 500 || status === 429 || error?.code === "CLIENT_GONE");
}
