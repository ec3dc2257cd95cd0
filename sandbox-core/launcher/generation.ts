/**
 * One zygote with all that was made from it: these live and die together. A launcher has one
 * generation that serves, and those before it that still have sandboxes. A launch that does not get
 * on is given up after twelve seconds.
 */
import { randomBytes } from "node:crypto";
import { closeSync } from "node:fs";
import { removeOwner, sandboxGroup } from "../cgroup/sweep.ts";
import type { EgressSockets } from "../contract/egress.ts";
import { SandboxError } from "../contract/error.ts";
import type { Program } from "../contract/program.ts";
import type { SandboxExit, SandboxLimits } from "../contract/sandbox.ts";
import type { LaunchRequest, Refusal, Response, ZygoteFacts } from "../protocol/control.ts";
import { RUNTIME_CONNECTIONS, WIRE_ONLY } from "./connections.ts";
import { closeAll, takeSockets } from "./descriptors.ts";
import type { LaunchedEgress } from "./egress-hand-over.ts";
import { ForkSelftest } from "./fork-selftest.ts";
import type { GenerationOptions } from "./generation-options.ts";
import { openDescriptors } from "./launch-descriptors.ts";
import { errorOf, failLaunch, type PendingLaunch } from "./pending-launch.ts";
import { LaunchedSandbox } from "./sandbox.ts";
import { newLaunchId, SandboxAhead } from "./sandbox-ahead.ts";
import { SandboxGroup } from "./sandbox-cgroup.ts";
import { ZygoteProcess } from "./zygote-process.ts";

/** Time to wait for the connections of a sandbox that ended already. */
const LAST_ACCEPT_MS = 1_000;
/**
 * Most time for a launch, which takes milliseconds. A zygote that hangs is given up before that.
 */
const LAUNCH_LIMIT_MS = 12_000;
const NO_USAGE = { cpuMs: 0, peakMemoryBytes: 0, oomKills: 0, throttledMs: 0 };

export class Generation {
  /**
   * Settles with the reason when its zygote is dead, and all that it had is ended and removed.
   * Never rejects.
   */
  readonly gone: Promise<string>;
  /** Sandboxes that ended with its zygote. */
  lost = 0;
  readonly #options: GenerationOptions;
  readonly #pending = new Map<string, PendingLaunch>();
  readonly #sandboxes = new Map<string, LaunchedSandbox>();
  readonly #dead = Promise.withResolvers<string>();
  #zygote: ZygoteProcess | undefined;
  #selftest: ForkSelftest | undefined;
  readonly #ahead: SandboxAhead;
  #forks = 0;
  /**
   * The span in which its sandboxes make way, by `performance.now()`; undefined while it serves.
   */
  #makingWay: { fromMs: number; untilMs: number } | undefined;
  #isRetired = false;
  readonly #onEmptied: (() => void)[] = [];

  private constructor(options: GenerationOptions) {
    this.#options = options;
    this.#ahead = new SandboxAhead(options.sandboxesAhead, {
      launch: (id, limits) => this.#launchRuntime(id, limits),
      isBusy: () => this.#pending.size > 0,
      has: (id) => this.#pending.has(id) || this.#sandboxes.has(id),
    });
    this.gone = this.#dead.promise.then((reason) => this.#bury(reason));
  }

  /** A generation whose zygote is warm. @throws SandboxError that says what this machine lacks */
  static async start(options: GenerationOptions): Promise<Generation> {
    const generation = new Generation(options);
    const events = {
      onResponse: (response: Response) => generation.#hear(response),
      onDeath: (reason: string) => generation.#dead.resolve(reason),
    };
    generation.#zygote = await ZygoteProcess.start(options.nodeFlags, options.zygote, events, options.startLimits);
    return generation;
  }

  /** Settles with the reason as soon as its zygote is dead, before `gone` does. Never rejects. */
  get died(): Promise<string> {
    return this.#dead.promise;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Started in each of its sandboxes, when these are no forks of the zygote's own runtime. */
  get runtime(): Program | undefined {
    return this.#options.runtime;
  }

  /** How many forks it has been asked for. */
  get forks(): number {
    return this.#forks;
  }

  /**
   * A new sandbox. One with a program is there when the program has been started.
   * @throws StartFailure when the program cannot be started, SandboxError when the kernel refuses a
   * wall, or the zygote dies
   */
  start(request: LaunchRequest): Promise<LaunchedSandbox> {
    this.#forks += 1;
    return this.#launch(request);
  }

  /** A new sandbox with the runtime, as `start`. */
  async startRuntime(limits: SandboxLimits, egress?: EgressSockets): Promise<LaunchedSandbox> {
    const sandbox = await this.#launchRuntime(newLaunchId(), limits, egress);
    this.#ahead.want(limits);
    return sandbox;
  }

  /** The waiting sandbox, as `SandboxAhead.take` gives it. */
  takeAhead(limits: SandboxLimits): Promise<LaunchedSandbox | undefined> {
    return this.#ahead.take(limits);
  }

  /** A sandbox like those of `start` in which fork/probe.ts runs and nothing else. */
  probe(limits: SandboxLimits, program?: Program): Promise<LaunchedSandbox> {
    return this.#launch({ limits, connections: WIRE_ONLY, probe: true, ...(program ? { program } : {}) });
  }

  /** The zygote's facts about the walls of its sandboxes. */
  get facts(): ZygoteFacts {
    return this.#process.facts;
  }

  #launchRuntime(id: string, limits: SandboxLimits, egress?: EgressSockets): Promise<LaunchedSandbox> {
    const { runtime } = this;
    this.#forks += 1;
    const more = { ...(runtime && { program: runtime }), ...(egress && { egress }) };
    return this.#launch({ limits, connections: RUNTIME_CONNECTIONS, ...more }, id);
  }

  #launch(request: LaunchRequest, id = newLaunchId()): Promise<LaunchedSandbox> {
    const { connections = [], program, egress: sockets, ...what } = request;
    const { told, ...own } = openDescriptors(sockets, program);
    const token = randomBytes(16).toString("hex");
    const names = connections.map(({ name }) => name);
    const { promise, resolve, reject } = Promise.withResolvers<LaunchedSandbox>();
    const deadline = setTimeout(() => this.#expire(id), LAUNCH_LIMIT_MS);
    const connected = this.#options.receiver.expect(token, names);
    const { limits } = what;
    const hasLocks = program?.policy === "command";
    this.#pending.set(id, { token, limits, hasLocks, sockets: connected, resolve, reject, deadline, ...own });
    this.#process.send({ op: "launch", id, token, connections, ...what, ...told });
    return promise;
  }

  /**
   * Sees that JavaScript lives on in a fork of this zygote, once.
   * @throws ForksDieError when it does not, SandboxError when the zygote dies meanwhile
   */
  selftest(): Promise<void> {
    this.#selftest = new ForkSelftest((request) => this.#process.send(request));
    return this.#selftest.run();
  }

  /** How many sandboxes it has, and is making, besides the one that it makes ahead. */
  get count(): number {
    return this.#pending.size + this.#sandboxes.size - this.#ahead.count;
  }

  /** The sandboxes that it has. */
  get sandboxes(): Iterable<LaunchedSandbox> {
    return this.#sandboxes.values();
  }

  /** Resolves when it has no sandbox and makes none. */
  get emptied(): Promise<void> {
    if (this.count === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onEmptied.push(resolve));
  }

  /**
   * Serves no more: each sandbox is to make way at a moment of its own within `withinMs`, and the
   * zygote leaves with the last of them. Called again, it can only shorten that.
   */
  retire(withinMs: number): void {
    this.outdate(withinMs);
    this.#isRetired = true;
    this.#noteIfEmpty();
  }

  /** Has each sandbox, those to come too, make way at a moment of its own within `withinMs`. */
  outdate(withinMs: number): void {
    const fromMs = performance.now();
    const untilMs = Math.min(fromMs + withinMs, this.#makingWay?.untilMs ?? Number.POSITIVE_INFINITY);
    this.#makingWay = { fromMs, untilMs };
    this.#ahead.end();
    for (const sandbox of this.#sandboxes.values()) this.#haveMakeWay(sandbox);
  }

  /** Ends its sandboxes and its zygote; resolves when all of it is gone. */
  async stop(): Promise<void> {
    await this.#process.stop();
    await this.gone;
  }

  get #process(): ZygoteProcess {
    return this.#zygote as ZygoteProcess;
  }

  #haveMakeWay(sandbox: LaunchedSandbox): void {
    if (!this.#makingWay) return;
    const { fromMs, untilMs } = this.#makingWay;
    // Spread out, so that the calls of a busy worker do not all need a new instance in one moment.
    sandbox.makeWayAt(fromMs + Math.random() * (untilMs - fromMs));
  }

  #noteIfEmpty(): void {
    if (this.count > 0) return;
    for (const resolve of this.#onEmptied.splice(0)) resolve();
    if (this.#isRetired) void this.#process.stop();
  }

  /** After the zygote's death: refuses what was being made, and ends what was made. */
  async #bury(reason: string): Promise<string> {
    for (const id of [...this.#pending.keys()]) {
      const pending = this.#take(id);
      if (pending) failLaunch(pending, this.#options.receiver, new SandboxError(reason));
    }
    this.#selftest?.fail(reason);
    const orphans = [...this.#sandboxes.values()].map((sandbox) => ({ sandbox, usage: sandbox.stats() ?? NO_USAGE }));
    this.lost = this.count;
    this.#sandboxes.clear();
    this.#noteIfEmpty();
    await this.#removeGroups();
    for (const { sandbox, usage } of orphans) sandbox.end({ code: null, signal: null, usage, reason });
    return reason;
  }

  /**
   * A zygote that died before it was ready had no group. The next zygote removes what cannot be
   * removed now.
   */
  async #removeGroups(): Promise<void> {
    const { group } = this.#zygote ?? { group: "" };
    if (group !== "") await removeOwner(this.#options.cgroups, group).catch(() => undefined);
  }

  #hear(response: Response): void {
    if (response.is === "launched") void this.#complete(response);
    else if (response.is === "refused") this.#refuse(response.id, response);
    else if (response.is === "exited") this.#end(response.id, { ...response });
    else if (response.is === "mounted_files") this.#sandboxes.get(response.id)?.mounted(response.problem ?? null);
    else if (response.is === "opened_egress") this.#openedEgress(response);
    else if (response.is === "selftesting" || response.is === "selftested") this.#selftest?.hear(response);
  }

  #openedEgress({ id, fds, problem }: Extract<Response, { is: "opened_egress" }>): void {
    const taken = problem === undefined ? takeSockets(this.pid, fds) : { fds: [], problem };
    // The zygote closes its own, whoever wants them still.
    if (problem === undefined) this.#process.send({ op: "took_egress", id });
    const sandbox = this.#sandboxes.get(id);
    if (sandbox) sandbox.openedEgress(taken);
    else closeAll(taken.fds);
  }

  async #complete(response: Extract<Response, { is: "launched" }>): Promise<void> {
    const { id, pid, hostUid, program, terminal } = response;
    const pending = this.#pending.get(id);
    if (!pending) return;
    const sockets = await pending.sockets;
    // The sandbox was told to end already.
    if (pending.overdue !== undefined) this.#refuse(id, { message: pending.overdue });
    if (!this.#pending.has(id)) return;
    let egress: LaunchedEgress | undefined;
    try {
      egress = pending.egress?.receive();
    } catch (error) {
      this.#process.send({ op: "kill", id });
      return this.#refuse(id, { message: (error as Error).message, egress: true });
    }
    this.#take(id);
    const group = new SandboxGroup(this.#options.cgroups, sandboxGroup(this.#process.group, hostUid));
    const sandbox = new LaunchedSandbox({
      id,
      pid,
      hostUid,
      sockets,
      group,
      limits: pending.limits,
      zygotePid: this.pid,
      hasLocks: pending.hasLocks,
      send: (request) => this.#process.send({ ...request, id }),
      ...(program !== undefined && { program }),
      ...(terminal !== undefined && { terminal }),
      ...(egress && { egress }),
    });
    if (pending.exit) sandbox.end(pending.exit);
    else this.#sandboxes.set(id, sandbox);
    this.#haveMakeWay(sandbox);
    pending.resolve(sandbox);
    this.#noteIfEmpty();
    this.#ahead.makeIfIdle();
  }

  #refuse(id: string, refusal: Refusal): void {
    const pending = this.#take(id);
    if (!pending) {
      // Its connections were made before it failed.
      this.#end(id, { code: 1, signal: null, usage: NO_USAGE, reason: refusal.message });
      return;
    }
    failLaunch(pending, this.#options.receiver, errorOf({ ...refusal, message: pending.overdue ?? refusal.message }));
    this.#noteIfEmpty();
  }

  /** The launch of that id, which is on its way no more. */
  #take(id: string): PendingLaunch | undefined {
    const pending = this.#pending.get(id);
    clearTimeout(pending?.deadline);
    if (pending?.secrets !== undefined) closeSync(pending.secrets);
    pending?.egress?.close();
    this.#pending.delete(id);
    return pending;
  }

  /**
   * Ends a fork that hangs before it is locked in. The launch stays until the end is known: until
   * then the fork may take descriptors out of this process, and their numbers must not be given to
   * others.
   */
  #expire(id: string): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    if (pending.overdue !== undefined) return void this.#refuse(id, { message: pending.overdue });
    pending.overdue = `it was not locked in within ${LAUNCH_LIMIT_MS / 1_000} s`;
    pending.deadline = setTimeout(() => this.#expire(id), LAUNCH_LIMIT_MS);
    this.#process.send({ op: "kill", id });
  }

  #giveUp(id: string): void {
    if (this.#pending.has(id)) this.#refuse(id, { message: "it died before it began" });
  }

  #end(id: string, { code, signal, usage, reason }: SandboxExit): void {
    const exit = { code, signal, usage, ...(reason === undefined ? {} : { reason }) };
    const pending = this.#pending.get(id);
    if (pending) {
      pending.exit = exit;
      // Its connections were made before it was locked in: they are in the socket's queue by now,
      // or never come.
      setTimeout(() => this.#giveUp(id), LAST_ACCEPT_MS).unref();
    }
    this.#ahead.forget(id);
    this.#sandboxes.get(id)?.end(exit);
    this.#sandboxes.delete(id);
    this.#noteIfEmpty();
  }
}
