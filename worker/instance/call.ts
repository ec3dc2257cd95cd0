/** One call on its way through an instance. */
import { BodyStream } from "../../functions/transport/body-stream.ts";
import {
  type CallNumber,
  encodeBodyEnd,
  encodeLongBody,
  encodeRequest,
  type Failure,
  type Head,
  MAX_BODY_BYTES_PER_FRAME,
  MAX_FRAME_BYTES,
  ProtocolError,
  type Request,
  type SandboxMessage,
} from "../../sandbox-core/protocol/frames.ts";
import type { CallLog } from "../outcome/call-log.ts";
import { CallFailure } from "../outcome/outcome.ts";
import type { EgressListener } from "./egress.ts";

/** A piece of a body that has a frame for itself, with space for the frame's own fields. */
const BODY_PIECE_BYTES = MAX_FRAME_BYTES - 64;

/**
 * The request of a call, and the listeners to its reply. They hear nothing after the call's
 * promises have settled.
 */
export interface CallInput {
  request: Omit<Request, "type" | "call" | "bodyFollows" | "body">;
  /** All of it, or what gives it as it comes. */
  body: Uint8Array | BodyStream;
  log: CallLog;
  /** Hears of the connections that begin in the call. */
  egress?: EgressListener;
  /** The call's turn has come. */
  onBegin(): void;
  onHead(head: Head): void;
  onChunk(bytes: Uint8Array): void;
}

/** Resources that a call used. */
export interface Usage {
  cpuMs: number;
  /** Most memory that the instance has used so far. */
  peakMemoryBytes: number;
}

/**
 * How a call ends at an instance: with the last word of its function, or not begun. A call that was
 * not begun never will be, and the function knows nothing of it; `death` says how the instance
 * ended, or is null when it has other calls.
 */
export type TurnEnd = { begun: true; failure: Failure | null } | { begun: false; death: CallFailure | null };

/**
 * A call that was handed to an instance. Both promises reject with a CallFailure when the instance
 * ends during the call.
 */
export interface RunningCall {
  /**
   * Resolves when the reply is complete, when the function failed to give one, or when the call
   * will not begin.
   */
  readonly replied: Promise<TurnEnd>;
  /** Resolves when the function left nothing running; never for a call that was not begun. */
  readonly idle: Promise<Usage>;
  /** Whether the instance has nothing to do with the call any more. */
  readonly isOver: boolean;
  /** Whether its turn has come. */
  readonly hasBegun: boolean;
  /**
   * Tells the function that nobody waits for the answer; a call that has not begun loses its turn.
   */
  cancel(): void;
  /**
   * Time for which the instance was busy with the call; null before the call's end, and when it was
   * not begun.
   */
  readonly tookMs: number | null;
}

/** A message of a sandbox about the call that it runs. */
export type OfCall = Exclude<Extract<SandboxMessage, { call: CallNumber }>, { type: "withdrawn" }>;

/** A call as its instance knows it. */
export class Call implements RunningCall {
  readonly number: CallNumber;
  readonly input: CallInput;
  readonly #replied = Promise.withResolvers<TurnEnd>();
  readonly #idle = Promise.withResolvers<Usage>();
  readonly #onCancel: (call: Call) => void;
  /** How far the call is. A message of the sandbox is believed at its own stage only. */
  stage: "queued" | "waiting" | "streaming" | "replied" = "queued";
  /** Whether the sandbox shall give the call back if the call has not begun. */
  isAskedBack = false;
  /** Whether the call is one frame, and nothing was written behind that on its account. */
  isLastWritten = false;
  /** Whether nobody waits for the answer any more. */
  isCancelled = false;
  isOver = false;
  tookMs: number | null = null;
  #begunAtMs: number | null = null;

  /** @param onCancel told once when the call is cancelled */
  constructor(number: CallNumber, input: CallInput, onCancel: (call: Call) => void) {
    this.#onCancel = onCancel;
    this.number = number;
    this.input = input;
    for (const promise of [this.replied, this.idle]) promise.catch(() => {});
  }

  /**
   * The request as buffers to write in this order, without a body that is still coming.
   * @throws CallFailure HEADERS_TOO_LARGE when it does not fit the protocol
   */
  encode(): Uint8Array[] {
    const frames = requestFrames(this.number, this.input);
    this.isLastWritten = frames.length === 1 && !(this.input.body instanceof BodyStream);
    return frames;
  }

  get replied(): Promise<TurnEnd> {
    return this.#replied.promise;
  }

  get log(): CallLog {
    return this.input.log;
  }

  get hasBegun(): boolean {
    return this.stage !== "queued";
  }

  cancel(): void {
    if (this.isCancelled || this.isOver) return;
    this.isCancelled = true;
    this.#onCancel(this);
  }

  get idle(): Promise<Usage> {
    return this.#idle.promise;
  }

  /**
   * Takes a message about the call; true when that was the last one. @throws ProtocolError when it
   * may not come now
   */
  hear(message: OfCall): boolean {
    switch (message.type) {
      case "head":
        this.#expect("waiting");
        this.stage = "streaming";
        this.input.onHead(message);
        if (message.last) this.#reply(null);
        return false;
      case "chunk":
        this.#expect("streaming");
        this.input.onChunk(message.bytes);
        return false;
      case "end":
        this.#expect("streaming");
        this.#reply(message.error);
        return false;
      case "failed":
        this.#expect("waiting");
        this.#reply(message.error);
        return false;
      default:
        this.#expect("replied");
        return true;
    }
  }

  #expect(stage: Call["stage"]): void {
    if (this.stage !== stage) throw new ProtocolError(`A message for the stage ${stage} came in ${this.stage}.`);
  }

  begin(): void {
    this.stage = "waiting";
    this.#begunAtMs = performance.now();
    this.input.onBegin();
  }

  #reply(failure: Failure | null): void {
    this.stage = "replied";
    this.#replied.resolve({ begun: true, failure });
  }

  end(): void {
    this.isOver = true;
    this.#wantNoBody();
    this.#stopClock();
  }

  settle(usage: Usage): void {
    this.#idle.resolve(usage);
  }

  /**
   * Takes the call back that the sandbox was asked for. @throws ProtocolError when the sandbox was
   * not asked
   */
  giveBack(): void {
    if (!this.isAskedBack) throw new ProtocolError("A call that was not asked back was given back.");
    this.lose(null);
  }

  /**
   * Ends a call that will not be begun.
   * @param death how the instance ends, if that is why
   * @throws ProtocolError when the sandbox has said something of the call before
   */
  lose(death: CallFailure | null): void {
    // Its turn may have come here while it was being withdrawn there.
    if (this.stage !== "queued" && this.stage !== "waiting") throw new ProtocolError("A call had begun.");
    this.end();
    this.#replied.resolve({ begun: false, death });
  }

  fail(error: CallFailure): void {
    this.#wantNoBody();
    this.#stopClock();
    this.#replied.reject(error);
    this.#idle.reject(error);
  }

  #wantNoBody(): void {
    if (this.input.body instanceof BodyStream) this.input.body.cancel();
  }

  #stopClock(): void {
    if (this.#begunAtMs !== null) this.tookMs = performance.now() - this.#begunAtMs;
  }
}

/**
 * A request as buffers to write in this order, without a body that is still coming. One is all of
 * it in one frame, or all but such a body.
 * @throws CallFailure HEADERS_TOO_LARGE when it does not fit the protocol
 */
function requestFrames(call: CallNumber, { request, body }: CallInput): Uint8Array[] {
  const isComing = body instanceof BodyStream;
  const whole = !isComing && body.length <= MAX_BODY_BYTES_PER_FRAME;
  try {
    const first = whole ? body : new Uint8Array(0);
    const frames: Uint8Array[] = [encodeRequest({ ...request, call, bodyFollows: !whole, body: first })];
    if (whole || isComing) return frames;
    for (let at = 0; at < body.length; at += BODY_PIECE_BYTES) {
      frames.push(...encodeLongBody(call, body.subarray(at, at + BODY_PIECE_BYTES)));
    }
    frames.push(encodeBodyEnd(call));
    return frames;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "";
    throw new CallFailure(
      "platform_error",
      "HEADERS_TOO_LARGE",
      `The request cannot be handed to the function. ${reason}`,
      cause,
    );
  }
}

/** A failure as a log shows it: the stack if there is one, by the tenant's own files and lines. */
export function describe({ name, message, stack }: Failure): string {
  return stack || `${name}: ${message}`;
}
