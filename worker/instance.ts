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
  encodeLoad,
  encodeWithdraw,
  type Failure,
  FrameReader,
  type Log,
  ProtocolError,
  type SandboxMessage,
} from "../sandbox-core/protocol/frames.ts";
import type { Bundle } from "./bundles.ts";
import { Call, type CallInput, describe, type RunningCall, requestFrames, TurnLost, type Usage } from "./call.ts";
import { type CallLog, LOG_LIMITS } from "./call-log.ts";
import { Line } from "./line.ts";
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

/** Where output goes that belongs to no call. */
export interface InstanceLogs {
  /** While the version is loaded: the log of the call that wanted it. */
  start: CallLog;
  /** Between calls. */
  idle: CallLog;
}

type State = "blank" | "loading" | "idle" | "busy" | "ended";

export class Instance {
  readonly sandbox: Sandbox;
  readonly #wire: Sandbox["wire"];
  readonly #version: Version;
  readonly #output: Output;
  readonly #logs: InstanceLogs;
  readonly #ready = Promise.withResolvers<void>();
  readonly #loaded = Promise.withResolvers<Failure | null>();
  #state: State = "blank";
  readonly #line = new Line((behind) => this.#askBack(behind));
  /** Calls that ended since the meter was read. */
  #ended: Call[] = [];
  #lastNumber = 0;
  #logRecords = 0;
  #cpuMsBefore = 0;
  #cause: Cause | null = null;
  #timer: NodeJS.Timeout | null = null;

  private constructor(sandbox: Sandbox, version: Version, logs: InstanceLogs) {
    this.sandbox = sandbox;
    this.#wire = sandbox.wire;
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

  /** Whether it can begin a call now. */
  get isIdle(): boolean {
    return this.#state === "idle" && this.#isConnected;
  }

  /** Whether it can take a call, to begin it now or, before long, after those that it has. */
  get hasPlace(): boolean {
    return this.#state === "busy" ? this.#line.hasPlace && this.#isConnected : this.isIdle;
  }

  get #isConnected(): boolean {
    return !this.#wire.readableEnded && !this.#wire.destroyed;
  }

  /**
   * Hands over a call, which begins when those before it have ended. From then on the function has its version's time
   * limit, work given to `waitUntil` included.
   * @throws CallFailure when the request cannot be sent as it is.
   */
  call(input: CallInput): RunningCall {
    if (!this.hasPlace) throw new TurnLost();
    const frames = requestFrames(this.#nextNumber(), input);
    if (!this.#line.isEmpty && frames.length > 1) throw new TurnLost();
    const call = new Call(this.#lastNumber, input);
    this.#line.add(call);
    if (this.#line.first === call) this.#begin(call);
    this.#write(frames);
    return call;
  }

  /** What has been used since a call ended last, and the most memory that any has used. */
  usage(): Usage {
    const { cpuMs, peakMemoryBytes } = this.sandbox.usage();
    return { cpuMs: roundMs(cpuMs - this.#cpuMsBefore), peakMemoryBytes };
  }

  /** Ends it for that reason, unless it is ending already. */
  end(cause: Cause): void {
    if (this.#state === "ended") return;
    this.#cause = cause;
    this.sandbox.kill(cause.by);
    void this.#bury();
  }

  get #log(): CallLog {
    if (this.#line.first !== undefined) return this.#line.first.input.log;
    return this.#state === "blank" || this.#state === "loading" ? this.#logs.start : this.#logs.idle;
  }

  async #load({ code, sourceMap }: Bundle): Promise<void> {
    const { tenant, functionName, version, entry, config } = this.#version;
    const { env, memoryMiB, timeoutMs } = config;
    this.#limitTime("load", LOAD_LIMIT_MS);
    await this.#ready.promise;
    this.#state = "loading";
    const load = { tenant, functionName, version, entry, env, memoryMiB, timeoutMs, limits: LOG_LIMITS };
    this.#write(encodeLoad(load, code, sourceMap));
    const failure = await this.#loaded.promise;
    this.#readMeter(); // What loading used belongs to no call.
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
    if (message.type === "withdrawn") {
      this.#hearWithdrawn(message.call);
      return;
    }
    const call = this.#line.first;
    if (call === undefined || message.call !== call.number) throw new ProtocolError("A message about no call of now.");
    switch (message.type) {
      case "head":
        call.expect("waiting");
        call.stage = "streaming";
        call.input.onHead(message);
        if (message.last) call.reply(null);
        return;
      case "chunk":
        call.expect("streaming");
        call.input.onChunk(message.bytes);
        return;
      case "end":
        call.expect("streaming");
        call.reply(message.error);
        return;
      case "failed":
        call.expect("waiting");
        call.reply(message.error);
        return;
      default:
        call.expect("replied");
        this.#finish(call);
    }
  }

  #hearWithdrawn(number: CallNumber): void {
    const call = this.#line.find(number);
    if (call === undefined) throw new ProtocolError("A message about no call of now.");
    call.giveBack();
    this.#line.remove(call);
    if (call.stage === "waiting") this.#goOn();
  }

  #begin(call: Call): void {
    this.#state = "busy";
    this.#logRecords = 0;
    const { timeoutMs } = this.#version.config;
    // All calls of a version have the same limit.
    if (this.#timer === null) this.#limitTime("call", timeoutMs);
    else this.#timer.refresh();
    call.begin();
  }

  #finish(call: Call): void {
    call.end();
    // After this turn: the replies that came in it leave first.
    if (this.#ended.push(call) === 1) setImmediate(() => this.#settleEnded());
    this.#line.remove(call);
    this.#goOn();
  }

  /** Begins the next call, if there is one. */
  #goOn(): void {
    const next = this.#line.first;
    if (next !== undefined) {
      this.#begin(next);
      return;
    }
    this.#stopTimer();
    this.#state = "idle";
  }

  /** Asks for the calls back whose turn does not come. The function may be too busy even to answer that. */
  #askBack(behind: Call[]): void {
    for (const call of behind) call.isAskedBack = true;
    this.#write(behind.map(({ number }) => encodeWithdraw(number)));
  }

  /** Calls that ended in one moment share what was used since the last ones did. */
  #settleEnded(): void {
    const ended = this.#ended;
    this.#ended = [];
    const { cpuMs, peakMemoryBytes } = this.#readMeter();
    const share = { cpuMs: roundMs(cpuMs / ended.length), peakMemoryBytes };
    for (const call of ended) call.settle(share);
  }

  #readMeter(): Usage {
    const usage = this.usage();
    this.#cpuMsBefore += usage.cpuMs;
    return usage;
  }

  /** Writes frames, and in the same system call what else comes in this turn. */
  #write(frames: Uint8Array[]): void {
    if (this.#wire.writableCorked === 0) {
      this.#wire.cork();
      process.nextTick(() => this.#wire.uncork());
    }
    for (const frame of frames) this.#wire.write(frame);
  }

  #hearLog({ call, level, source, text, timeMs }: Log): void {
    if (call !== null && call !== this.#line.first?.number) throw new ProtocolError("A log record of no call of now.");
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
    const [call, ...behind] = this.#line.clear();
    for (const other of behind) other.fail(new TurnLost());
    const failure = await this.#verdict();
    this.#logs.idle.flush();
    this.#ready.reject(failure);
    this.#loaded.reject(failure);
    call?.fail(failure);
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

function roundMs(ms: number): number {
  return Math.max(0, Math.round(ms * 1_000) / 1_000);
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
