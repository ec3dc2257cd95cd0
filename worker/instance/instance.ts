/**
 * A sandbox with a version loaded, as the worker sees it: what the instance does now, and how it
 * ends.
 *
 * Messages of a sandbox are hostile. A message that a well-behaved runtime would not send at that
 * moment ends the sandbox; so does a deadline. Whatever the reason, everybody who waits for
 * something of the sandbox gets one CallFailure.
 */
import type { Version } from "../../functions/model/version.ts";
import { settledWithin } from "../../infra/std/time.ts";
import type { ForkableSandbox, Sandbox, WorkLimits } from "../../sandbox-core/index.ts";
import {
  type CallNumber,
  encodeTemplate,
  type Failure,
  type Found,
  ProtocolError,
  type SandboxMessage,
} from "../../sandbox-core/protocol/frames.ts";
import type { Bundle } from "../code/bundles.ts";
import { VersionEnvironment } from "../code/environments.ts";
import type { CallLog } from "../outcome/call-log.ts";
import { type Cause, LoadFailure } from "../outcome/outcome.ts";
import { Call, type CallInput, describe, type RunningCall, type Usage } from "./call.ts";
import { DYING_MS, explain } from "./death.ts";
import { InstanceConnections } from "./egress.ts";
import type { ForkEnd } from "./fork.ts";
import type { Intake } from "./intake.ts";
import { loadFrames } from "./load-frames.ts";
import { type InstanceLogs, LogRouter } from "./logs.ts";
import { maskedMessage } from "./masked-message.ts";
import { CallMeter } from "./meter.ts";
import { mountFiles } from "./mount-files.ts";
import { NetworkHint } from "./network-hint.ts";
import { Output } from "./output.ts";
import type { InstanceParts, LoadOptions } from "./parts.ts";
import { sendRequest } from "./pass-body.ts";
import { PREPARATION_FAILURES, Preparation } from "./preparation.ts";
import { PREPARATION_LIMITS, TimeLimit } from "./time-limit.ts";
import { Turns } from "./turns.ts";
import { WireEnd } from "./wire.ts";

type State = "preparing" | "idle" | "busy" | "template" | "ended";

export class Instance {
  readonly sandbox: Sandbox;
  /** The environment that it was loaded with; calls are not for an outdated one. */
  readonly environment: VersionEnvironment;
  readonly #version: Version;
  readonly #output: Output;
  readonly #meter: CallMeter;
  readonly #logs: InstanceLogs;
  readonly #router: LogRouter;
  readonly #wire: WireEnd;
  readonly #preparation = new Preparation();
  /** Gives the instance for the next call, when this one is a fork for one call. */
  readonly successor: (() => Promise<Instance>) | null;
  /** Told of the end of each fork, when this instance is a template. */
  onForkEnded: ((number: number, end: ForkEnd) => void) | null = null;
  /** Why the instance could not become a template; null when it did, or was not asked to. */
  noTemplateReason: string | null = null;
  /** Looks at what its function fails with. */
  readonly networkHint: NetworkHint;
  /** What loading the version found out, once it is loaded; text of the tenant's. */
  found: Found | null = null;
  /** Time for loading the version; 0 in a fork. */
  loadMs = 0;
  #state: State = "preparing";
  readonly #turns = new Turns({
    begin: (call) => this.#began(call),
    finish: (call) => this.#finished(call),
    idle: () => this.#becameIdle(),
    send: (frames) => this.#wire.send(frames),
  });
  #lastNumber = 0;
  #cause: Cause | null = null;
  /** The sandbox said that it is going to end, and begins nothing any more. */
  #isLeaving = false;
  readonly #limit: TimeLimit;
  readonly #preparationLimits: WorkLimits;
  readonly #connections: InstanceConnections | null;

  private constructor(parts: InstanceParts<Instance>) {
    const { sandbox, version, environment, logs, successor = null, limits, egress } = parts;
    this.environment = environment;
    this.#connections = egress && new InstanceConnections(egress);
    this.networkHint = parts.networkHint ?? new NetworkHint(egress !== null);
    this.successor = successor;
    this.sandbox = sandbox;
    this.#meter = new CallMeter(sandbox);
    this.#version = version;
    this.#preparationLimits = limits;
    const { timeoutMs: callMs } = version.config;
    this.#limit = new TimeLimit({ sandbox, callMs, preparation: limits, onOver: (cause) => this.end(cause) });
    this.#logs = logs;
    this.#router = new LogRouter(logs, this.networkHint, environment.mask);
    this.#wire = new WireEnd(sandbox.wire, {
      hear: (message) => this.#hear(maskedMessage(message, environment.mask)),
      onViolation: (message) => this.end({ by: "violation", message }),
      onClose: () => void this.#hungUp(),
    });
    this.#output = new Output(sandbox.stdio, (line) => this.#router.hearLine(line), environment.mask);
    // The last messages may still be on their way.
    void sandbox.exited.then(() => settledWithin(DYING_MS, this.#wire.closed)).then(() => this.#bury());
  }

  /**
   * Loads a version into a blank sandbox, which belongs to the instance from then on.
   * @throws CallFailure FUNCTION_LOAD_FAILED when the code throws, or what `judge` says when the
   * sandbox ends.
   */
  static async load(
    sandbox: ForkableSandbox,
    version: Version,
    bundle: Bundle,
    logs: InstanceLogs,
    { limits = PREPARATION_LIMITS, environment, egress = null }: LoadOptions = {},
  ): Promise<Instance> {
    await mountFiles(sandbox, bundle);
    const parts = { environment: environment ?? new VersionEnvironment(version.config.env), logs, limits, egress };
    const instance = new Instance({ sandbox, version, ...parts });
    await instance.#load(bundle);
    return instance;
  }

  /**
   * Whether it became a template: it serves no call then, and forks when it is told to. If not, it
   * goes on as it is.
   * @throws CallFailure when its sandbox ends
   */
  async becomeTemplate(): Promise<boolean> {
    this.#state = "template";
    this.#limit.startPreparing("load");
    this.#wire.send([encodeTemplate()]);
    this.noTemplateReason = await this.#preparation.becomeTemplate();
    this.#limit.stop();
    if (this.noTemplateReason !== null) this.#state = "idle";
    return this.noTemplateReason === null;
  }

  /**
   * An instance like this one in a fork of its sandbox, once the function has renewed there what is
   * its own.
   * @param log gets what the function writes until then; without, that is written between calls
   * @param successor gives the instance for the call after its one, when it is for one call
   * @throws CallFailure FUNCTION_RESTORE_FAILED when the function throws, or what `judge` says when
   * the fork ends
   */
  async inFork(fork: Sandbox, log: CallLog | null, successor: (() => Promise<Instance>) | null): Promise<Instance> {
    const { idle } = this.#logs;
    const [version, limits, logs] = [this.#version, this.#preparationLimits, { start: log ?? idle, idle }];
    const { networkHint, environment } = this;
    const parts = { sandbox: fork, version, environment, logs, successor, limits, networkHint };
    const instance = new Instance({ ...parts, egress: this.#connections?.ofSandbox ?? null });
    instance.found = this.found;
    instance.#preparation.beginLoading();
    instance.#limit.startPreparing("restore");
    await instance.#untilLoaded("restore");
    return instance;
  }

  /** Whether the instance was a fork for one call that has ended, whose template may serve on. */
  get leftItsTemplate(): boolean {
    return this.successor !== null && this.#state === "ended";
  }

  /** Whether each call of its version is to have a process of its own. */
  get servesOnce(): boolean {
    return this.#version.config.isolation === "invocation";
  }

  get #isSpent(): boolean {
    return this.servesOnce && this.#lastNumber > 0;
  }

  /**
   * Whether it makes way for one with other secrets, or one that may connect to something else: it
   * begins no more calls.
   */
  get isOutdated(): boolean {
    return this.environment.isOutdated || this.#connections?.isOutdated === true;
  }

  /** Whether the instance can begin a call now. */
  get isIdle(): boolean {
    return this.#state === "idle" && !this.#isSpent && this.#isConnected && !this.isOutdated;
  }

  /**
   * Whether the instance can take a call, to begin it now or, before long, after the calls that it
   * has.
   */
  get takesCalls(): boolean {
    // A connection belongs to the call that runs when it begins, which must be certain.
    const isAhead = this.#state === "busy" && !this.servesOnce && this.#connections === null;
    return isAhead ? this.#turns.takesCalls && this.#isConnected : this.isIdle;
  }

  get #isConnected(): boolean {
    return !this.#isLeaving && this.#wire.isConnected;
  }

  /**
   * Hands over a call, which begins when those before it have ended. From then on the function has
   * its version's time limit, work given to `waitUntil` included. Returns null, and takes nothing,
   * when it cannot take the call.
   * @throws CallFailure when the request cannot be sent as it is.
   */
  call(input: CallInput): RunningCall | null {
    if (!this.takesCalls) return null;
    this.#lastNumber = (this.#lastNumber % 0xffff_ffff) + 1;
    const call = new Call(this.#lastNumber, input, (cancelled) => this.#turns.cancel(cancelled));
    const frames = call.encode();
    if (!this.#turns.isEmpty && !call.isLastWritten) return null;
    this.#turns.add(call);
    sendRequest(call, frames, this.#wire);
    return call;
  }

  /** How fast its sandbox is read. */
  get intake(): Intake {
    return this.#wire.intake;
  }

  /** Resources used since a call ended last, and the most memory that any call has used. */
  usage(): Usage {
    return this.#meter.usage();
  }

  /** Ends the sandbox for that reason, unless it is ending already. */
  end(cause: Cause): void {
    if (this.#state === "ended") return;
    this.#cause = cause;
    this.sandbox.kill(cause.by === "violation" ? `it broke the protocol: ${cause.message}` : cause.by);
    void this.#bury();
  }

  async #load(bundle: Bundle): Promise<void> {
    this.#limit.startPreparing("start");
    await this.#preparation.ready;
    this.#limit.startPreparing("load");
    this.#preparation.beginLoading();
    const sentAtMs = performance.now();
    this.#wire.send(loadFrames(this.#version, this.environment.env, bundle, this.#connections?.caCertificate));
    await this.#untilLoaded("load");
    this.loadMs = performance.now() - sentAtMs;
  }

  async #untilLoaded(during: keyof typeof PREPARATION_FAILURES): Promise<void> {
    const failure = await this.#preparation.loaded;
    this.#meter.read(); // Time used until now belongs to no call.
    if (failure === null) return;
    const thrown = describe(failure);
    this.#logs.start.add("error", "console", thrown);
    this.networkHint.look(thrown, this.#logs.start);
    throw new LoadFailure(PREPARATION_FAILURES[during], thrown);
  }

  /** @throws ProtocolError when the message may not come now. */
  #hear(message: SandboxMessage): void {
    if (message.type === "log") this.#router.hear(message);
    else if (message.type === "ready") this.#preparation.hearReady();
    else if (message.type === "loaded") this.#hearLoaded(null, message.found);
    else if (message.type === "load_failed") this.#hearLoaded(message.error);
    else if (message.type === "templated") this.#preparation.hearTemplated(message.noTemplateReason);
    else if (message.type === "ended") this.#hearEnded(message);
    else if (message.type === "withdrawn") this.#turns.withdrawn(message.call);
    else if (message.type === "leaving") this.#hearLeaving(message.lastBegun);
    else this.#turns.hear(message);
  }

  #hearEnded({ fork, ...end }: ForkEnd & { fork: number }): void {
    if (this.onForkEnded === null) throw new ProtocolError("It is no template.");
    this.onForkEnded(fork, end);
  }

  #hearLoaded(failure: Failure | null, found: Found | null = null): void {
    this.#preparation.hearLoaded(failure);
    this.found ??= found;
    this.#state = "idle";
    this.#router.started();
    this.#limit.stop();
  }

  /** Gives up the calls that the sandbox has not begun: other instances run them. */
  #hearLeaving(lastBegun: CallNumber | 0): void {
    if (this.#preparation.isUnderWay) throw new ProtocolError("It has begun nothing yet.");
    this.#isLeaving = true;
    this.#turns.lose(lastBegun);
  }

  #began(call: Call): void {
    this.#state = "busy";
    this.#router.begin(call);
    this.#limit.startCall();
    this.#connections?.began(call);
    call.begin();
  }

  #finished(call: Call): void {
    call.end();
    this.#router.end(call);
    this.#meter.settleSoon(call);
  }

  #becameIdle(): void {
    this.#limit.stop();
    this.#state = "idle";
    this.#router.idle();
    this.#connections?.ended();
  }

  async #hungUp(): Promise<void> {
    // A fork that has served its call leaves, and whoever forks next waits for its end.
    if (this.successor !== null && this.#isSpent && this.#state === "idle") return;
    if (this.#state === "ended" || (await settledWithin(DYING_MS, this.sandbox.exited)) !== null) return;
    this.end({ by: "hang_up" });
  }

  /**
   * Whether the sandbox ended before it had read all of its one call, and so cannot have begun the
   * call.
   */
  get #isUnread(): boolean {
    // A sandbox that has said what it began is believed; and the unread frame may be a call that
    // was taken back since.
    const isByItself = !this.#isLeaving && (this.#cause === null || this.#cause.by === "hang_up");
    return isByItself && this.#wire.leftUnread && this.#turns.mayBeUnread;
  }

  /** Fails whoever waits, as soon as it is known why the sandbox ended. */
  async #bury(): Promise<void> {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#wire.ignore();
    this.#limit.stop();
    const isUnbegun = this.#isUnread;
    const isLoading = this.#preparation.isUnderWay;
    const [call, ...behind] = this.#turns.clear();
    for (const other of behind) other.lose(null);
    this.#connections?.ended({ close: true });
    const facts = { cause: this.#cause, memoryMiB: this.#version.config.memoryMiB, isLoading };
    const failure = await explain({ sandbox: this.sandbox, output: this.#output, ...facts });
    this.#logs.idle.flush();
    this.#preparation.fail(failure);
    if (isUnbegun) call?.lose(failure);
    else call?.fail(failure);
  }
}
