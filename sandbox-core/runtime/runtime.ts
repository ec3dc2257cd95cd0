/**
 * The runtime, apart from the process around it: messages in, frames out.
 *
 * The runtime is blank until a `load` has arrived with all of its code; then it serves calls.
 * main.ts connects it to a socket and to the process's globals; warm.ts connects it to nothing.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import {
  type CallNumber,
  DEFAULT_RUNTIME_LIMITS,
  encodeLeaving,
  encodeLoaded,
  encodeLoadFailed,
  encodeReady,
  encodeTemplated,
  encodeWithdrawn,
  type Failure,
  type Found,
  type Load,
  MAX_CALLS_IN_LINE,
  ProtocolError,
  type Request,
  type WorkerMessage,
} from "../protocol/frames.ts";
import { type CallHost, RuntimeCall } from "./call.ts";
import { describeError } from "./describe.ts";
import { functionEnvironment, trustIssuer } from "./environment.ts";
import { detectHandler } from "./handlers/detect.ts";
import type { Handler } from "./handlers/handler.ts";
import { defineRegistrations } from "./handlers/registrations.ts";
import { remarksOn } from "./handlers/remarks.ts";
import { watchStartup } from "./handlers/server/server-start.ts";
import { afterRestoreOf, type Hook } from "./hook.ts";
import { BundleParts, evaluateBundle } from "./load.ts";
import { LogWriter } from "./log.ts";
import type { RuntimeHost } from "./runtime-host.ts";
import { StackMapper } from "./stack.ts";
import type { Outlet } from "./wire.ts";

const now = performance.now.bind(performance);
// Captured before tenant code.
const { queueMicrotask, setImmediate } = globalThis;

/** After a call that took longer, what the worker has said meanwhile comes before the next one. */
const LONG_CALL_MS = 5;

/**
 * The facts about a call in its asynchronous context: no more, as work that a call leaves behind
 * keeps them for ever.
 */
interface Origin {
  readonly call: CallNumber;
  readonly invocationId: string;
}

type State = "blank" | "receiving" | "loading" | "loaded" | "dead";

export class Runtime implements CallHost {
  readonly wire: Outlet;
  readonly log: LogWriter;
  readonly #host: RuntimeHost;
  /** The call that runs: one at a time. */
  #call: RuntimeCall | null = null;
  /** Calls that were sent ahead of their turn. */
  #line: Request[] = [];
  #callBeganMs = 0;
  /** The last call that was begun, and the last one that ended. */
  #lastBegun: CallNumber | 0 = 0;
  #lastEnded: CallNumber | 0 = 0;
  /** The last call that ended, with no other in line, while its body was still coming. */
  #unreadBody: CallNumber | null = null;
  /** Which call caused what happens now, however long ago. */
  readonly #origin = new AsyncLocalStorage<Origin>();
  /** The worker knows that this process is going to end. */
  #isLeaving = false;
  #state: State = "blank";
  #load: Load | null = null;
  /** The bundle, while it arrives. */
  #parts: BundleParts | null = null;
  #mapper = new StackMapper(null);
  #handler: Handler | null = null;
  #afterRestore: Hook | null = null;
  /** Runs a function in the asynchronous context of now: that of no call. */
  readonly #inCleanContext = AsyncLocalStorage.snapshot();

  constructor(wire: Outlet, host: RuntimeHost) {
    this.wire = wire;
    this.#host = host;
    this.log = new LogWriter((frame) => wire.send(frame), DEFAULT_RUNTIME_LIMITS);
  }

  /** Tells the worker that a `load` may come. */
  ready(): void {
    this.wire.send(encodeReady());
  }

  /** Takes the next message. @throws ProtocolError when it may not come now. */
  handle(message: WorkerMessage): void {
    switch (message.type) {
      case "request":
        this.#takeCall(message);
        break;
      case "body":
        this.#running(message.call)?.body.push(message.bytes);
        break;
      case "body_end":
      case "body_lost":
        this.#endBody(message);
        break;
      case "cancel":
        this.#running(message.call)?.cancel();
        break;
      case "withdraw":
        this.#withdraw(message.call);
        break;
      case "load":
        this.#startLoad(message);
        break;
      case "code":
        this.#receive("code", message.bytes);
        break;
      case "map":
        this.#receive("map", message.bytes);
        break;
      case "template":
        this.#becomeTemplate();
        break;
    }
  }

  /**
   * An exception nobody caught, or a rejection nobody handled. The call in course fails with it, or
   * the load; when there is none it goes to the log. The state of the function is unknown since:
   * the process ends. Work that an ended call left behind fails no other call: the call in course
   * may end first.
   */
  uncaught(error: unknown): void {
    if (this.#state === "dead") return;
    const origin = this.#origin.getStore();
    if (this.#call !== null && origin !== undefined && origin.call !== this.#call.number) {
      this.#logUncaught(error, origin);
      this.leave();
      return;
    }
    let told = false;
    if (this.#state === "loading") {
      this.wire.send(encodeLoadFailed(this.describe(error)));
      told = true;
    }
    if (this.#call !== null) told = this.#call.fail(error, { dying: true }) || told;
    if (!told) this.#logUncaught(error, origin);
    this.#die();
  }

  /** Tells the worker that this process is going to end and begins no more calls. */
  leave(): void {
    if (this.#isLeaving || this.#state !== "loaded") return;
    this.#isLeaving = true;
    this.wire.send(encodeLeaving(this.#lastBegun));
  }

  /**
   * Says it in the log of the call that caused it, if the worker still takes something for that,
   * else in that of none.
   */
  #logUncaught(error: unknown, origin: Origin | undefined): void {
    const { name, message, stack } = this.describe(error);
    const text = `Uncaught ${stack || `${name}: ${message}`}`;
    if (origin === undefined || origin.call === this.#call?.number) this.log.write("error", "console", text);
    else if (origin.call === this.#lastEnded) this.log.writeOf(origin.call, "error", "console", text);
    else this.log.writeOf(null, "error", "console", `Left by the invocation ${origin.invocationId}: ${text}`);
  }

  describe(error: unknown): Failure {
    return describeError(error, this.#mapper);
  }

  /** The text with positions in the bundle replaced by those in the sources. */
  mapPositions(text: string): string {
    return this.#mapper.map(text);
  }

  logError(text: string): void {
    this.log.write("error", "console", text);
  }

  replied(): void {
    this.#host.flushOutput();
  }

  idle({ number, body }: RuntimeCall): void {
    this.#call = null;
    this.#lastEnded = number;
    if (this.#isLeaving) this.#die();
    else if (this.#line.length > 0) this.#takeTurn();
    else {
      this.log.end();
      // A process that ends with a body unread resets its wire, and with that the end of its own
      // reply may be lost on the way.
      if (body.complete) this.#host.idle();
      else this.#unreadBody = number;
    }
  }

  #endBody({ type, call }: Extract<WorkerMessage, { type: "body_end" | "body_lost" }>): void {
    this.#running(call)?.body[type === "body_end" ? "end" : "lose"]();
    if (call === this.#unreadBody) this.#host.idle();
  }

  #running(call: CallNumber): RuntimeCall | null {
    return this.#call?.number === call ? this.#call : null;
  }

  #takeCall(request: Request): void {
    if (this.#handler === null) throw new ProtocolError("A request came before a function was loaded.");
    if (this.#isKnown(request.call)) throw new ProtocolError(`A second request came for the call ${request.call}.`);
    if (this.#isLeaving) return;
    if (this.#call === null && this.#line.length === 0) this.#begin(request);
    else this.#lineUp(request);
  }

  #lineUp(request: Request): void {
    if (request.bodyFollows) throw new ProtocolError("A request without its body came before its turn.");
    const calls = this.#line.push(request) + (this.#call === null ? 0 : 1);
    if (calls > MAX_CALLS_IN_LINE) throw new ProtocolError("Too many requests came at once.");
  }

  #isKnown(call: CallNumber): boolean {
    return this.#running(call) !== null || this.#line.some((request) => request.call === call);
  }

  #begin(request: Request): void {
    this.#callBeganMs = now();
    const call = new RuntimeCall(this, request, this.#load?.timeoutMs ?? 0);
    this.#call = call;
    this.#lastBegun = request.call;
    this.log.begin(request.call);
    this.enter(call);
    void call.run(this.#handler as Handler);
  }

  enter({ number, request }: RuntimeCall): void {
    // And not `run`, which would stand in every stack.
    this.#origin.enterWith({ call: number, invocationId: request.invocationId });
  }

  /** Begins the next call in line, in a context in which nothing is left of the one before. */
  #takeTurn(): void {
    const next = () => {
      const request = this.#line.shift();
      if (request === undefined) this.log.end();
      else if (!this.#isLeaving) this.#begin(request);
    };
    if (now() - this.#callBeganMs < LONG_CALL_MS) this.#inCleanContext(queueMicrotask, next);
    // Whoever waits for so long may have been withdrawn: two turns of the loop, and what has come
    // is read.
    else this.#inCleanContext(setImmediate, () => setImmediate(next));
  }

  #withdraw(call: CallNumber): void {
    const index = this.#line.findIndex((request) => request.call === call);
    if (index < 0) return;
    this.#line.splice(index, 1);
    this.wire.send(encodeWithdrawn(call));
  }

  #startLoad(load: Load): void {
    if (this.#state !== "blank")
      throw new ProtocolError("A second load came: an instance serves one version for ever.");
    this.#state = "receiving";
    this.#load = load;
    this.#parts = new BundleParts(load);
    this.log.setLimits(load.limits);
    if (this.#parts.isComplete) void this.#evaluate(load, this.#parts);
  }

  #receive(part: "code" | "map", bytes: Uint8Array): void {
    const [load, parts] = [this.#load, this.#parts];
    if (load === null || parts === null || this.#state !== "receiving")
      throw new ProtocolError("More code came than a load announced.");
    parts.add(part, bytes);
    if (parts.isComplete) void this.#evaluate(load, parts);
  }

  async #evaluate(load: Load, parts: BundleParts): Promise<void> {
    this.#state = "loading";
    this.#parts = null;
    const startedMs = now();
    const code = parts.take("code").toString("utf8");
    this.#mapper = new StackMapper(parts.take("map"));
    let found: Found;
    try {
      const env = functionEnvironment(load);
      this.#host.setEnvironment(env);
      if (load.caCertificate !== undefined) trustIssuer(load.caCertificate);
      const registrations = defineRegistrations(code, load);
      const startup = watchStartup(code, env.PORT);
      const evaluation = evaluateBundle(code);
      const evaluated = await (startup?.exportsOf(evaluation, (error) => this.uncaught(error)) ?? evaluation);
      const { exports: exported } = evaluated;
      this.#handler = await detectHandler(exported, load, load, { registrations, startup });
      this.#afterRestore = afterRestoreOf(exported);
      found = {
        handler: this.#handler.words ?? "found",
        warnings: [...remarksOn(exported, code, load.env), ...(startup?.remarks(this.#handler) ?? [])],
      };
    } catch (error) {
      return this.#loadFailed(error);
    }
    this.#tellLoaded(startedMs, found);
  }

  #becomeTemplate(): void {
    if (this.#state !== "loaded" || this.#call !== null || this.#line.length > 0)
      throw new ProtocolError("Only a process that waits for its first call can become a template.");
    this.#host.becomeTemplate({
      livesLong: this.#load?.isolation === "instance",
      tell: (noTemplateReason) => this.wire.send(encodeTemplated(noTemplateReason)),
      onFork: () => void this.#restore(),
    });
  }

  /** A fork's first step: the function renews what it must not share. */
  async #restore(): Promise<void> {
    this.#state = "loading";
    const startedMs = now();
    try {
      await Promise.resolve(this.#afterRestore?.());
    } catch (error) {
      return this.#loadFailed(error);
    }
    this.#tellLoaded(startedMs, null);
  }

  #tellLoaded(startedMs: number, found: Found | null): void {
    if (this.#state === "dead") return;
    this.#state = "loaded";
    this.#host.flushOutput();
    this.wire.send(encodeLoaded(now() - startedMs, found));
  }

  #loadFailed(error: unknown): void {
    if (this.#state === "dead") return;
    this.wire.send(encodeLoadFailed(this.describe(error)));
    this.#die();
  }

  #die(): void {
    this.leave();
    this.#state = "dead";
    this.#host.die();
  }
}
