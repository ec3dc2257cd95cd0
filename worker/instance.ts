/**
 * A sandbox with a version loaded, as the worker sees it: the worker's end of the wire protocol.
 *
 * What comes over the wire is hostile. Anything that a well-behaved runtime would not send at that moment ends the
 * sandbox; so does a deadline. Whatever ends it, everybody who waits for something of it gets one CallFailure.
 */
import type { Version } from "../functions/version.ts";
import type { Sandbox } from "../sandbox-core/index.ts";
import {
  type CallNumber,
  decodeSandboxMessage,
  encodeBody,
  encodeBodyEnd,
  encodeLoad,
  encodeRequest,
  type Failure,
  FrameReader,
  type Head,
  type Log,
  MAX_BODY_BYTES_PER_FRAME,
  MAX_FRAME_BYTES,
  ProtocolError,
  type Request,
  type SandboxMessage,
} from "../sandbox-core/protocol/frames.ts";
import type { Bundle } from "./bundles.ts";
import { type CallLog, LOG_LIMITS } from "./call-log.ts";
import { CallFailure, type Cause, judge } from "./outcome.ts";
import { Output } from "./output.ts";

/** Calls that an instance serves at once. */
export const CALLS_PER_INSTANCE = 1;
/** Longest time that evaluating a bundle may take. */
export const LOAD_LIMIT_MS = 10_000;
/** A sandbox that closed its wire is dying, and has so long for it. */
const DYING_MS = 500;
/** How long a death that was caused may take to tell its figures before the call is answered without them. */
const DEATH_LIMIT_MS = 2_000;
/** Room for a request's head in its first frame is the rest of a frame. */
const BODY_PIECE_BYTES = MAX_FRAME_BYTES - 64;

/** Where output goes that belongs to no call. */
export interface InstanceLogs {
  /** While the version is loaded: the log of the call that wanted it. */
  start: CallLog;
  /** Between calls. */
  idle: CallLog;
}

/** What a call is given, and what hears of it. Nothing is heard after the call's promises have settled. */
export interface CallInput {
  request: Omit<Request, "type" | "call" | "bodyFollows" | "body" | "deadlineMs">;
  body: Uint8Array;
  log: CallLog;
  onHead(head: Head): void;
  onChunk(bytes: Uint8Array): void;
}

/** A call in course. Both promises reject with a CallFailure when the instance ends first. */
export interface RunningCall {
  /** The reply is complete, or the function failed to give one. */
  readonly replied: Promise<Failure | null>;
  /** The function left nothing running: the instance may have its next call. */
  readonly idle: Promise<void>;
}

interface Call {
  number: CallNumber;
  input: CallInput;
  stage: "waiting" | "streaming" | "replied";
  replied: PromiseWithResolvers<Failure | null>;
  idle: PromiseWithResolvers<void>;
}

type State = "blank" | "loading" | "idle" | "busy" | "ended";

export class Instance {
  readonly sandbox: Sandbox;
  readonly #version: Version;
  readonly #output: Output;
  readonly #logs: InstanceLogs;
  readonly #ready = Promise.withResolvers<void>();
  readonly #loaded = Promise.withResolvers<Failure | null>();
  #state: State = "blank";
  #call: Call | null = null;
  #lastNumber = 0;
  #logRecords = 0;
  #cpuMsBefore = 0;
  #cpuMsAfter = 0;
  #cause: Cause | null = null;
  #timer: NodeJS.Timeout | null = null;

  private constructor(sandbox: Sandbox, version: Version, logs: InstanceLogs) {
    this.sandbox = sandbox;
    this.#version = version;
    this.#logs = logs;
    for (const { promise } of [this.#ready, this.#loaded]) promise.catch(() => {});
    this.#output = new Output(sandbox.stdio, (line) => this.#log.add("info", "stdout", line));
    this.#listen();
  }

  /**
   * Loads a version into a blank sandbox, which belongs to the instance from then on.
   * @throws CallFailure FUNCTION_LOAD_FAILED when the code throws, or what `judge` says when the sandbox ends.
   */
  static async load(sandbox: Sandbox, version: Version, bundle: Bundle, logs: InstanceLogs): Promise<Instance> {
    const instance = new Instance(sandbox, version, logs);
    await instance.#load(bundle);
    return instance;
  }

  /** Whether it can take a call. */
  get isIdle(): boolean {
    const { wire } = this.sandbox;
    return this.#state === "idle" && !wire.readableEnded && !wire.destroyed;
  }

  /**
   * Begins a call. The function has its version's time limit from now on, work given to `waitUntil` included.
   * @throws CallFailure when the request cannot be sent as it is.
   */
  call(input: CallInput): RunningCall {
    if (this.#state !== "idle") throw new CallFailure("platform_error", "SANDBOX_LOST");
    const number = this.#nextNumber();
    const { timeoutMs } = this.#version.config;
    const frames = requestFrames(number, input, Date.now() + timeoutMs);
    const call: Call = {
      number,
      input,
      stage: "waiting",
      replied: Promise.withResolvers(),
      idle: Promise.withResolvers(),
    };
    for (const { promise } of [call.replied, call.idle]) promise.catch(() => {});
    this.#state = "busy";
    this.#call = call;
    this.#logRecords = 0;
    this.#cpuMsBefore = this.#cpuMsAfter;
    this.#limitTime("call", timeoutMs);
    for (const frame of frames) this.sandbox.wire.write(frame);
    return { replied: call.replied.promise, idle: call.idle.promise };
  }

  /** What the call that was begun last has used so far, and the most memory that any has used. */
  usage(): { cpuMs: number; peakMemoryBytes: number } {
    const { cpuMs, peakMemoryBytes } = this.sandbox.usage();
    this.#cpuMsAfter = cpuMs;
    return { cpuMs: Math.max(0, Math.round((cpuMs - this.#cpuMsBefore) * 1_000) / 1_000), peakMemoryBytes };
  }

  /** Ends it for that reason, unless it is ending already. */
  end(cause: Cause): void {
    if (this.#state === "ended") return;
    this.#cause = cause;
    this.sandbox.kill(cause.by);
    void this.#bury();
  }

  get #log(): CallLog {
    if (this.#call !== null) return this.#call.input.log;
    return this.#state === "blank" || this.#state === "loading" ? this.#logs.start : this.#logs.idle;
  }

  async #load({ code, sourceMap }: Bundle): Promise<void> {
    const { tenant, functionName, version, entry, config } = this.#version;
    const { env, memoryMiB, timeoutMs } = config;
    this.#limitTime("load", LOAD_LIMIT_MS);
    await this.#ready.promise;
    this.#state = "loading";
    const load = { tenant, functionName, version, entry, env, memoryMiB, timeoutMs, limits: LOG_LIMITS };
    for (const frame of encodeLoad(load, code, sourceMap)) this.sandbox.wire.write(frame);
    const failure = await this.#loaded.promise;
    this.usage(); // What loading used belongs to no call.
    if (failure === null) return;
    this.#logs.start.add("error", "console", describe(failure));
    throw new CallFailure("function_error", "FUNCTION_LOAD_FAILED");
  }

  #listen(): void {
    const { wire, exited } = this.sandbox;
    const reader = new FrameReader(decodeSandboxMessage, (message) => this.#hear(message));
    wire.on("data", (chunk: Buffer) => {
      if (this.#state === "ended") return;
      try {
        reader.push(chunk);
      } catch (error) {
        this.end({ by: "violation", message: error instanceof Error ? error.message : String(error) });
      }
    });
    wire.on("error", () => {}); // "close" follows.
    wire.on("close", () => void this.#hungUp());
    void exited.then(() => this.#bury());
  }

  /** @throws ProtocolError when the message may not come now. */
  #hear(message: SandboxMessage): void {
    if (this.#state === "ended") return;
    if (message.type === "log") this.#hearLog(message);
    else if (message.type === "ready") this.#hearReady();
    else if (message.type === "loaded") this.#hearLoaded(null);
    else if (message.type === "load_failed") this.#hearLoaded(message.error);
    else this.#hearOfCall(message);
  }

  #hearLoaded(failure: Failure | null): void {
    if (this.#state !== "loading") throw new ProtocolError("Nothing was being loaded.");
    this.#state = "idle";
    this.#stopTimer();
    this.#loaded.resolve(failure);
  }

  #hearReady(): void {
    if (this.#state !== "blank") throw new ProtocolError("It was ready before.");
    this.#ready.resolve();
  }

  #hearOfCall(message: Exclude<SandboxMessage, Log | { type: "ready" | "loaded" | "load_failed" }>): void {
    const call = this.#call;
    if (call === null || message.call !== call.number) throw new ProtocolError("A message about no call of now.");
    switch (message.type) {
      case "head":
        expectStage(call, "waiting");
        call.stage = message.last ? "replied" : "streaming";
        call.input.onHead(message);
        if (message.last) call.replied.resolve(null);
        return;
      case "chunk":
        expectStage(call, "streaming");
        call.input.onChunk(message.bytes);
        return;
      case "end":
        expectStage(call, "streaming");
        call.stage = "replied";
        call.replied.resolve(message.error);
        return;
      case "failed":
        expectStage(call, "waiting");
        call.stage = "replied";
        call.replied.resolve(message.error);
        return;
      default:
        expectStage(call, "replied");
        this.#finish(call);
    }
  }

  #finish(call: Call): void {
    this.#stopTimer();
    this.#call = null;
    this.#state = "idle";
    call.idle.resolve();
  }

  #hearLog({ call, level, source, text, timeMs }: Log): void {
    if (call !== null && call !== this.#call?.number) throw new ProtocolError("A log record of no call of now.");
    this.#logRecords += 1;
    // The runtime stops by itself. What does not stop is not the runtime, and would keep the worker busy for nothing.
    if (this.#logRecords > LOG_LIMITS.logRecords + 2) throw new ProtocolError("More log records than are allowed.");
    this.#log.add(level, source, text, timeMs);
  }

  #limitTime(during: "load" | "call", limitMs: number): void {
    this.#timer = setTimeout(() => this.end({ by: "deadline", during, limitMs }), limitMs);
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #hungUp(): Promise<void> {
    if (this.#state === "ended" || (await settledWithin(DYING_MS, this.sandbox.exited)) !== null) return;
    this.end({ by: "hang_up" });
  }

  /** Fails whoever waits, as soon as it is known why it ended. */
  async #bury(): Promise<void> {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#stopTimer();
    const failure = await this.#verdict();
    this.#logs.idle.flush();
    this.#ready.reject(failure);
    this.#loaded.reject(failure);
    this.#call?.replied.reject(failure);
    this.#call?.idle.reject(failure);
  }

  async #verdict(): Promise<CallFailure> {
    const { memoryMiB } = this.#version.config;
    const cause = this.#cause;
    // A deadline needs no explanation, and the caller has waited long enough.
    if (cause?.by === "deadline") return judge({ cause, exit: null, outputTail: "", memoryMiB });
    const exit = await settledWithin(DEATH_LIMIT_MS, this.sandbox.exited);
    await settledWithin(DYING_MS, this.#output.ended);
    return judge({ cause, exit, outputTail: this.#output.tail, memoryMiB });
  }

  #nextNumber(): CallNumber {
    this.#lastNumber = (this.#lastNumber % 0xffff_ffff) + 1;
    return this.#lastNumber;
  }
}

/** A failure as a log shows it: the stack if there is one, by the tenant's own files and lines. */
export function describe({ name, message, stack }: Failure): string {
  return stack || `${name}: ${message}`;
}

function requestFrames(call: CallNumber, { request, body }: CallInput, deadlineMs: number): Uint8Array[] {
  const whole = body.length <= MAX_BODY_BYTES_PER_FRAME;
  try {
    const first = whole ? body : new Uint8Array(0);
    const frames: Uint8Array[] = [encodeRequest({ ...request, call, deadlineMs, bodyFollows: !whole, body: first })];
    if (whole) return frames;
    for (let at = 0; at < body.length; at += BODY_PIECE_BYTES) {
      frames.push(encodeBody(call, body.subarray(at, at + BODY_PIECE_BYTES)));
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

function expectStage(call: Call, stage: Call["stage"]): void {
  if (call.stage !== stage) throw new ProtocolError(`A message for the stage ${stage} came in ${call.stage}.`);
}

/** What a promise that never rejects settles to, or null when it takes longer than this. */
async function settledWithin<T>(limitMs: number, promise: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), limitMs);
  });
  const settled = await Promise.race([promise, late]);
  clearTimeout(timer);
  return settled;
}
