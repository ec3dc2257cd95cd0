/**
 * The calls that wait for their reply: who gets which reply, who has waited for too long, and how
 * many there may be.
 */
import { SandpiperError } from "../../functions/model/errors.ts";
import type { Reply } from "../../functions/model/invocation.ts";
import { Holdings, mayTake } from "../../infra/std/fair-share.ts";
import { Throughput } from "./throughput.ts";

/** One waiting call. */
export interface WaitingCall {
  /** Unix time in milliseconds at which the gateway answers by itself. */
  readonly deadlineMs: number;
  onReply(reply: Reply): void;
  /** Answers with an error, or breaks off an answer that has begun. */
  fail(error: SandpiperError): void;
}

/**
 * Most calls, and bytes of their bodies, that a gateway may have in the queue and at workers at
 * once.
 */
const MAX_CALLS = 10_000;
const MAX_BODY_BYTES = 1024 * 1024 * 1024;
const TENANT_FULL = "The tenant has as many calls and bodies in this gateway as it may. The call did not run.";
const FULL = "This gateway holds as many calls and bodies as it can. The call did not run.";
/** Deadlines are far beyond what calls may take, so that seeing them late does no harm. */
const SWEEP_MS = 500;

/** A call that is in the queue or at a worker, as far as is known. */
interface Submitted {
  /**
   * null: its client left. Not to count it would let whoever connects and leaves fill Redis while
   * workers are busy.
   */
  call: WaitingCall | null;
  deadlineMs: number;
  /** By `performance.now()`. */
  sinceMs: number;
  tenant: string;
  bodyBytes: number;
}

/** A call whose gateway answered it without a worker's word. */
export type GivenUp = Pick<Submitted, "deadlineMs"> & { id: string };

export class Calls {
  readonly throughput = new Throughput();
  readonly #submitted = new Map<string, Submitted>();
  /** By tenant: calls, and bytes of their bodies. */
  readonly #held = new Holdings();
  readonly #bodies = new Holdings();
  #waiting = 0;
  readonly #onOver: (id: string) => void;
  readonly #sweeper: NodeJS.Timeout;
  #away = true;
  #draining = false;
  #onEmpty: (() => void)[] = [];

  /** @param onOver told of each call that nothing is kept of any more. */
  constructor(onOver: (id: string) => void = () => {}) {
    this.#onOver = onOver;
    this.#sweeper = setInterval(() => this.#sweep(Date.now()), SWEEP_MS);
    this.#sweeper.unref();
  }

  /** How many calls wait. */
  get size(): number {
    return this.#waiting;
  }

  /** How many calls of a tenant wait, or are at workers. */
  of(tenant: string): number {
    return this.#held.of(tenant);
  }

  /** How long the oldest call has been in course, in milliseconds; 0 when there is none. */
  get oldestMs(): number {
    for (const { sinceMs } of this.#submitted.values()) return performance.now() - sinceMs;
    return 0;
  }

  /** Whether somebody waits for the reply to a call. */
  isWaitedFor(id: string): boolean {
    return (this.#submitted.get(id)?.call ?? null) !== null;
  }

  /** Bodies of calls in the queue and at workers. */
  get bodies(): { takenBytes: number; limitBytes: number } {
    return { takenBytes: this.#bodies.total, limitBytes: MAX_BODY_BYTES };
  }

  /** Whether replies can arrive and calls are taken. */
  get accepting(): boolean {
    return !this.#away && !this.#draining;
  }

  /** @throws SandpiperError when no call can be answered now. */
  check(): void {
    if (this.#draining) throw new SandpiperError("SHUTTING_DOWN");
    if (this.#away) {
      throw new SandpiperError("QUEUE_UNAVAILABLE", { message: "The queue is not reachable. The call did not run." });
    }
    if (this.#held.total >= MAX_CALLS) throw new SandpiperError("OVERLOADED", { message: FULL });
  }

  /**
   * Waits for the replies to a call.
   * @throws SandpiperError when no call can be answered now, or none more of that tenant.
   */
  add(id: string, call: WaitingCall, { tenant, bodyBytes }: { tenant: string; bodyBytes: number }): void {
    this.check();
    const [calls, bodies] = [this.#held, this.#bodies];
    const mayHave =
      mayTake({ own: calls.of(tenant), want: 1, used: calls.total, size: MAX_CALLS }) &&
      mayTake({ own: bodies.of(tenant), want: bodyBytes, used: bodies.total, size: MAX_BODY_BYTES });
    if (!mayHave) throw new SandpiperError("OVERLOADED", { message: TENANT_FULL });
    const sinceMs = performance.now();
    this.#submitted.set(id, { call, deadlineMs: call.deadlineMs, sinceMs, tenant, bodyBytes });
    this.#waiting++;
    calls.add(tenant, 1);
    if (bodyBytes > 0) bodies.add(tenant, bodyBytes);
  }

  /** A call is answered. */
  remove(id: string): void {
    if (this.#submitted.get(id)?.call) this.forget(id);
  }

  /**
   * The client of a call left. A worker may have the call, or will: it takes a place until one says
   * that it is over.
   */
  leave(id: string): void {
    const submitted = this.#submitted.get(id);
    if (!submitted?.call) return;
    submitted.call = null;
    if (--this.#waiting === 0) for (const resolve of this.#onEmpty.splice(0)) resolve();
  }

  /** No worker has the call, or will have it. */
  forget(id: string): void {
    this.leave(id);
    const submitted = this.#submitted.get(id);
    if (submitted === undefined) return;
    const { tenant, bodyBytes } = submitted;
    this.#submitted.delete(id);
    this.#held.add(tenant, -1);
    if (bodyBytes > 0) this.#bodies.add(tenant, -bodyBytes);
    this.#onOver(id);
  }

  /** Hands a reply to its call; one that nobody waits for is dropped. */
  deliver(reply: Reply): void {
    if (reply.kind === "head" && reply.outcome !== "platform_error") this.throughput.note(reply.timing);
    const submitted = this.#submitted.get(reply.id);
    if (submitted?.call) submitted.call.onReply(reply);
    else if (reply.kind === "end" || (reply.kind === "head" && !reply.streaming)) this.forget(reply.id);
  }

  /** A reply came whose body was gone. */
  bodyLost(id: string): void {
    this.#submitted.get(id)?.call?.fail(new SandpiperError("BODY_LOST"));
  }

  /** Answers a call with an error. No worker has it, or will have it. */
  fail(id: string, error: SandpiperError): void {
    this.#submitted.get(id)?.call?.fail(error);
    this.forget(id);
  }

  /**
   * Replies can be missed from now on: every waiting call fails, and none is taken until `open`.
   * Gives the calls that failed, which workers may have.
   */
  shut(): GivenUp[] {
    this.#away = true;
    const waiting = [...this.#submitted].filter(([, { call }]) => call !== null);
    const message = "The connection to the queue was lost while the call waited. It may have run.";
    this.#failAll(new SandpiperError("QUEUE_UNAVAILABLE", { message }));
    return waiting.map(([id, { deadlineMs }]) => ({ id, deadlineMs }));
  }

  /** Replies arrive from now on. */
  open(): void {
    this.#away = false;
  }

  /**
   * Takes no more calls. Resolves when none waits, at the latest after `limitMs`, when the rest has
   * failed.
   */
  async drain(limitMs: number): Promise<void> {
    this.#draining = true;
    const timer = setTimeout(() => this.#failAll(new SandpiperError("SHUTTING_DOWN")), limitMs);
    if (this.#waiting > 0) await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
    clearTimeout(timer);
  }

  /** Fails what still waits, and takes no more calls. */
  close(): void {
    this.#draining = true;
    clearInterval(this.#sweeper);
    this.#failAll(new SandpiperError("SHUTTING_DOWN"));
  }

  #sweep(nowMs: number): void {
    for (const [id, { call, deadlineMs }] of [...this.#submitted]) {
      if (deadlineMs > nowMs) continue;
      if (call) call.fail(new SandpiperError("NO_ANSWER"));
      else this.forget(id);
    }
  }

  #failAll(error: SandpiperError): void {
    for (const { call } of [...this.#submitted.values()]) call?.fail(error);
  }
}
