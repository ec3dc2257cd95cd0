/** The calls that wait for their reply: who gets which reply, and who has waited for too long. */
import { SandpiperError } from "../functions/errors.ts";
import type { Reply } from "../functions/invocation.ts";

/** One waiting call. */
export interface WaitingCall {
  /** Unix time in milliseconds at which the gateway answers by itself. */
  readonly deadlineMs: number;
  onReply(reply: Reply): void;
  /** Answers with an error, or breaks off an answer that has begun. */
  fail(error: SandpiperError): void;
}

/** More calls than this wait for nobody. */
const MAX_WAITING = 10_000;
/** Deadlines are far beyond what calls may take, so that seeing them late does no harm. */
const SWEEP_MS = 500;

export class Calls {
  readonly #waiting = new Map<string, WaitingCall>();
  readonly #sweeper: NodeJS.Timeout;
  #away = true;
  #draining = false;
  #onEmpty: (() => void)[] = [];

  constructor() {
    this.#sweeper = setInterval(() => this.#sweep(Date.now()), SWEEP_MS);
    this.#sweeper.unref();
  }

  /** How many calls wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Whether replies can arrive and calls are taken. */
  get accepting(): boolean {
    return !this.#away && !this.#draining;
  }

  /** @throws SandpiperError when no call can be answered now. */
  check(): void {
    if (this.#draining) throw new SandpiperError("SHUTTING_DOWN");
    if (this.#away) throw new SandpiperError("QUEUE_UNAVAILABLE");
    if (this.#waiting.size >= MAX_WAITING) throw new SandpiperError("OVERLOADED");
  }

  /**
   * Waits for the replies to a call.
   * @throws SandpiperError when no call can be answered now.
   */
  add(id: string, call: WaitingCall): void {
    this.check();
    this.#waiting.set(id, call);
  }

  /** Forgets a call: it is answered, or its client is gone. */
  remove(id: string): void {
    if (this.#waiting.delete(id) && this.#waiting.size === 0) for (const resolve of this.#onEmpty.splice(0)) resolve();
  }

  /** Hands a reply to its call; one that nobody waits for is dropped. */
  deliver(reply: Reply): void {
    this.#waiting.get(reply.id)?.onReply(reply);
  }

  /** A reply came whose body was gone. */
  bodyLost(id: string): void {
    this.#waiting.get(id)?.fail(new SandpiperError("BODY_LOST"));
  }

  /** Replies can be missed from now on: every waiting call fails, and none is taken until `open`. */
  shut(): void {
    this.#away = true;
    this.#failAll(new SandpiperError("QUEUE_UNAVAILABLE"));
  }

  /** Replies arrive from now on. */
  open(): void {
    this.#away = false;
  }

  /** Takes no more calls. Resolves when none waits, at the latest after `limitMs`, when the rest has failed. */
  async drain(limitMs: number): Promise<void> {
    this.#draining = true;
    const timer = setTimeout(() => this.#failAll(new SandpiperError("SHUTTING_DOWN")), limitMs);
    if (this.#waiting.size > 0) await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
    clearTimeout(timer);
  }

  /** Fails what still waits, and takes no more calls. */
  close(): void {
    this.#draining = true;
    clearInterval(this.#sweeper);
    this.#failAll(new SandpiperError("SHUTTING_DOWN"));
  }

  #sweep(nowMs: number): void {
    for (const call of [...this.#waiting.values()]) {
      if (call.deadlineMs <= nowMs) call.fail(new SandpiperError("NO_ANSWER"));
    }
  }

  #failAll(error: SandpiperError): void {
    for (const call of [...this.#waiting.values()]) call.fail(error);
  }
}
