/**
 * The way of calls from a gateway into the queue. The gate is open, and calls pass, for as long as
 * workers take them at once. When a job was left waiting for a quarter of a second, the gate shuts:
 * the gateway takes back what no worker has, keeps the calls itself, and hands them over as workers
 * take them. So the gateway decides which call goes next (see line.ts), answers at once those that
 * cannot be served in time, and knows of each call that it answers with an error that the call did
 * not run. While calls are answered within a quarter of a second, the queue is not looked at.
 *
 * Also an open gate keeps calls: those of a tenant that has as many in course as it may (see
 * slot-shares.ts), and those of a function that has (see function-limits.ts). Each goes as soon as
 * another one ends.
 */
import { setTimeout } from "node:timers/promises";
import { SandpiperError } from "../../functions/model/errors.ts";
import type { Invocation } from "../../functions/model/invocation.ts";
import type { Look } from "../../functions/transport/backlog.ts";
import { FunctionLimits } from "./function-limits.ts";
import type { GateCounts, GateOptions, OfFunction } from "./gate-options.ts";
import { type HeldCall, Line } from "./line.ts";
import { SlotShares } from "./slot-shares.ts";

/** How often an open gate looks, and how old a call must be before it does. */
const WATCH_MS = 250;
/** How often a gateway with few calls asks how many slots there are. */
const CALM_EXCHANGE_MS = 5_000;
/** How often a shut gate looks: with calls that wait here, and without. */
const STEP_MS = 50;
const IDLE_STEP_MS = 250;
/** Calls that pass a shut gate in one step: at first, and at most. */
const FIRST_STEP_CALLS = 32;
const MOST_STEP_CALLS = 4_096;
/**
 * After so many steps at which all was taken and nothing was left, a shut gate opens. A step lets
 * calls pass that have come since the last, as they do all the time, and the next one sees whether
 * those are taken.
 */
const CALM_STEPS = 2;
/** With as many jobs in the queue nothing passes. */
const FEW_JOBS = 2;
/** So many calls may always wait. */
const FEW_CALLS = 64;
/** How long a wait helps the caller of a function that takes no time, and of one that does. */
const PATIENCE_MS = 2_000;
const PATIENCE_FACTOR = 2;
/** A call that waited longer than it helps, by this factor, lets younger ones go first. */
const STALE_FACTOR = 1.5;
/** How long there must have been no worker before callers hear of that. */
const DESERTED_MS = 1_000;

const NOT_RUN = "The call did not run.";

export class Gate {
  readonly #options: GateOptions;
  readonly #line: Line;
  readonly #shares: SlotShares;
  readonly #limits = new FunctionLimits();
  /** When slots and other gateways are asked for again, by `performance.now()`. */
  #exchangeAtMs = 0;
  #isExchanging = false;
  readonly #watch: NodeJS.Timeout;
  #isShut = false;
  #isClosed = false;
  #isWatching = false;
  #stepCalls = FIRST_STEP_CALLS;
  /** Whether all calls that wait here are of tenants that have as many in course as they may. */
  #isKept = false;
  /** How many of the last steps found all taken that had passed before, and left none here. */
  #calmSteps = 0;
  /** Since when there is no worker, by `performance.now()`; null: there is one. */
  #desertedSinceMs: number | null = null;
  readonly counts: GateCounts = { shed: 0, expired: 0, deserted: 0 };

  constructor(options: GateOptions) {
    this.#options = options;
    const weightOf = (tenant: string) => options.quotas.weightOf(tenant);
    [this.#line, this.#shares] = [new Line(weightOf), new SlotShares(weightOf)];
    this.#watch = setInterval(() => void this.#look(), WATCH_MS).unref();
  }

  /** How many calls wait here. */
  get held(): number {
    return this.#line.size;
  }

  /** How many calls of a tenant, or of one function of it, wait here. */
  waiting(tenant: string, functionName?: string): number {
    return this.#line.waiting(tenant, functionName);
  }

  /** Slots of all workers, as tenants share them; 0: not known. */
  get slots(): number {
    return this.#shares.slots;
  }

  /** Slots that are kept for functions, used or not. */
  get reservedSlots(): number {
    return this.#limits.reserved;
  }

  /**
   * @param call of which function it is, once that is known.
   * @throws SandpiperError NO_WORKER, or OVERLOADED, when a call that comes now cannot be served in
   * time; CALL_QUOTA when too many of its tenant or function wait
   */
  check(call?: OfFunction): void {
    if (this.#isShut && this.#isDeserted) {
      this.counts.deserted += 1;
      throw noWorker();
    }
    if (this.#line.size === 0 && !this.#isShut) return;
    if (call === undefined) return;
    // One of a function whose calls wait will wait, too.
    const over = this.#line.waiting(call.tenant, call.functionName) > 0 ? this.#tooManyWait(call, 0) : null;
    if (over !== null) throw over;
    if (this.#limits.isReserved(call) || this.#line.ahead(call) < this.#mostAhead) return;
    this.counts.shed += 1;
    const message = `More calls wait for workers than can be served in time. ${NOT_RUN}`;
    throw new SandpiperError("OVERLOADED", { message });
  }

  /**
   * Puts a call into the queue, as soon as workers have room.
   * @param most how many calls of the function may be at workers at once; 0: any number
   * @throws SandpiperError as `check` does, EXPIRED when the call's time is over before, and as
   * `submit` does
   */
  submit(call: Invocation, most = 0): Promise<void> {
    this.#limits.set(call, most);
    const isFree = () => this.#line.size === 0 && this.#shares.admits(call.tenant, this.#limits.free);
    if (!this.#isShut && (this.#limits.isReserved(call) || isFree()) && this.#limits.admits(call)) {
      this.#shares.pass(call.id, call.tenant, this.#limits.of(call));
      return this.#options.submit(call);
    }
    this.check(call);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const go = () => void this.#options.submit(call).then(resolve, reject);
    this.#line.add({ invocation: call, go, fail: reject });
    if (!this.#isShut) this.#passSome();
    // The call itself is among them.
    const over = this.#line.has(call.id) ? this.#tooManyWait(call, 1) : null;
    if (over !== null && this.#line.remove(call.id)) throw over;
    return promise;
  }

  /** A call that went to the workers has ended; others need not go. */
  ended(id: string): void {
    const ended = this.#shares.end(id);
    if (ended === null) return;
    if (ended.limit !== null) this.#limits.end(ended.limit, this.#line.size === 0);
    this.#line.charge(ended.tenant, ended.tookMs);
    if (!this.#isShut && this.#line.size > 0) this.#passSome();
  }

  /** Forgets a call whose client left; false when it is not here. */
  forget(id: string): boolean {
    return this.#line.remove(id);
  }

  /** Fails the calls that wait here. None of them ran. */
  failAll(error: SandpiperError): void {
    for (const held of this.#line.takeAll()) held.fail(error);
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#watch);
    this.failAll(new SandpiperError("SHUTTING_DOWN"));
  }

  get #isDeserted(): boolean {
    return this.#desertedSinceMs !== null && performance.now() - this.#desertedSinceMs >= DESERTED_MS;
  }

  /** How long a wait helps. */
  get #patienceMs(): number {
    const { throughput, queueWaitMs } = this.#options;
    return Math.min(queueWaitMs, PATIENCE_MS + PATIENCE_FACTOR * throughput.meanMs);
  }

  get #mostAhead(): number {
    return Math.max(FEW_CALLS, (this.#options.throughput.perSecond * this.#patienceMs) / 1_000);
  }

  /** Looks through an open gate whether calls are taken, when there is reason to. */
  async #look(): Promise<void> {
    this.#options.throughput.endPeriod();
    this.#shares.endPeriod();
    if (!this.#isShut && this.#line.size > 0) this.#passSome();
    void this.#exchange();
    if (this.#isShut || this.#isWatching) return;
    this.#tidy();
    if (this.#options.oldestMs() < WATCH_MS) {
      this.#options.backlog.reset();
      this.#desertedSinceMs = null;
      return;
    }
    this.#isWatching = true;
    const look = await this.#see();
    this.#isWatching = false;
    const isStuck = look?.stands || (this.#isDeserted && this.#line.size > 0);
    if (isStuck && !this.#isClosed) void this.#shut();
  }

  /** Asks for the slots of workers and for other gateways' calls, often while calls are many. */
  async #exchange(): Promise<void> {
    const [word, functions] = [this.#shares.word, this.#limits.word];
    const nowMs = performance.now();
    const isQuiet = word === null && functions === null;
    if (this.#isExchanging || (isQuiet && this.#line.size === 0 && nowMs < this.#exchangeAtMs)) return;
    // A word is taken back as soon as it is not true any more.
    this.#exchangeAtMs = isQuiet ? nowMs + CALM_EXCHANGE_MS : 0;
    this.#isExchanging = true;
    try {
      const { slotsOfWorkers, exchange } = this.#options;
      const [slots, elsewhere] = await Promise.all([slotsOfWorkers(), exchange(word, functions)]);
      const all = slots.reduce((sum, one) => sum + one, 0);
      this.#limits.hear(elsewhere, all);
      this.#shares.hear(all, elsewhere, elsewhere.reserved.size > 0);
      if (!this.#isShut) this.#passSome();
    } catch {
      // Known ones stay; whoever waits hears of it by other ways.
    }
    this.#isExchanging = false;
  }

  /** Fails calls whose time is over, and lets the young go first. */
  #tidy(): void {
    if (this.#line.size === 0) return;
    const nowMs = Date.now();
    for (const held of this.#line.takeExpired(nowMs)) this.#expire(held);
    this.#line.age(nowMs - STALE_FACTOR * this.#patienceMs);
  }

  #tooManyWait(call: OfFunction, counted: number): SandpiperError | null {
    const { tenant } = call;
    return this.#options.quotas.tooManyWait(call, (name) => this.#line.waiting(tenant, name) - counted);
  }

  /** Has calls go that may, at most so many. @returns how many went */
  #passSome(count = MOST_STEP_CALLS): number {
    const [shares, limits] = [this.#shares, this.#limits];
    const admits = limits.admission((tenant) => shares.admits(tenant, limits.free));
    return this.#line.pass(count, admits, ({ invocation, go }) => {
      shares.pass(invocation.id, invocation.tenant, limits.of(invocation));
      go();
    });
  }

  /** null when Redis does not answer. */
  async #see(): Promise<Look | null> {
    try {
      const look = await this.#options.backlog.look();
      const isAlone =
        look.connectedWorkers === 0 || (look.stands && (await this.#options.slotsOfWorkers()).length === 0);
      this.#desertedSinceMs = isAlone ? (this.#desertedSinceMs ?? performance.now()) : null;
      return look;
    } catch {
      this.#desertedSinceMs = null;
      return null;
    }
  }

  async #shut(): Promise<void> {
    this.#isShut = true;
    this.#calmSteps = 0;
    this.#stepCalls = FIRST_STEP_CALLS;
    await this.#takeBack();
    while (!this.#isClosed && this.#isShut) {
      await setTimeout(this.#line.size > 0 ? STEP_MS : IDLE_STEP_MS, undefined, { ref: false });
      await this.#step();
    }
  }

  async #step(): Promise<void> {
    const look = await this.#see();
    if (look === null) {
      const message = `The queue is not reachable. ${NOT_RUN}`;
      return this.failAll(new SandpiperError("QUEUE_UNAVAILABLE", { message }));
    }
    this.#tidy();
    if (this.#isDeserted) return this.#desert(look);
    this.#pass(look);
    // Workers have no room even for those that passed: their time may be over meanwhile.
    if (look.stands && this.#line.size === 0) return this.#takeBack();
    const isCalm = look.jobs === 0 && (this.#line.size === 0 || this.#isKept);
    this.#calmSteps = isCalm ? this.#calmSteps + 1 : 0;
    if (this.#calmSteps >= CALM_STEPS) this.#open();
  }

  #open(): void {
    this.#options.backlog.reset();
    this.#isShut = false;
    this.#passSome();
  }

  /**
   * Hands calls over: twice as many when the last were taken, half as many when they wait.
   */
  #pass({ jobs }: Look): void {
    if (jobs > 0) this.#stepCalls = Math.ceil(this.#stepCalls / 2);
    const mayPass = jobs < FEW_JOBS;
    const passed = mayPass ? this.#passSome(this.#stepCalls) : 0;
    this.#isKept = mayPass && passed < this.#stepCalls;
    if (jobs === 0 && passed === this.#stepCalls) this.#stepCalls = Math.min(passed * 2, MOST_STEP_CALLS);
  }

  /** No worker is alive. What is in the queue waits in vain as well. */
  async #desert({ jobs }: Look): Promise<void> {
    if (jobs > 0) await this.#takeBack();
    for (const held of this.#line.takeAll()) {
      this.counts.deserted += 1;
      held.fail(noWorker());
    }
  }

  #expire(held: HeldCall): void {
    this.counts.expired += 1;
    held.fail(new SandpiperError("EXPIRED", { message: `No worker had room for the call in time. ${NOT_RUN}` }));
  }

  async #takeBack(): Promise<void> {
    const { gatewayId, backlog, submit, isWaitedFor, fail } = this.#options;
    const calls = await backlog.takeBack(gatewayId).catch(() => []);
    for (const call of calls) {
      const limit = this.#shares.end(call.id)?.limit ?? null;
      if (limit !== null) this.#limits.end(limit, false);
      const failIt = (error: SandpiperError) => fail(call, error);
      if (!isWaitedFor(call.id)) failIt(new SandpiperError("CLIENT_GONE"));
      else this.#line.add({ invocation: call, go: () => void submit(call).catch(failIt), fail: failIt });
    }
  }
}

function noWorker(): SandpiperError {
  return new SandpiperError("NO_WORKER", { message: `No worker is alive. ${NOT_RUN}` });
}
