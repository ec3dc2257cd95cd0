/**
 * The calls that an instance has: the one that runs, and behind it those that were sent ahead of
 * their turn. The messages of the sandbox about them are heard here.
 */
import {
  type CallNumber,
  encodeCancel,
  encodeWithdraw,
  MAX_CALLS_IN_LINE,
  ProtocolError,
} from "../../sandbox-core/protocol/frames.ts";
import { CallFailure } from "../outcome/outcome.ts";
import type { Call, OfCall } from "./call.ts";

/**
 * When a call takes longer, those behind it are taken back: another instance may be free sooner.
 */
const HELD_UP_MS = 20;

/** The instance that has the calls. */
export interface TurnsHost {
  /** A call's turn has come. */
  begin(call: Call): void;
  /** The call that ran has ended. */
  finish(call: Call): void;
  /** There is no call any more. */
  idle(): void;
  send(frames: Uint8Array[]): void;
}

const LEFT_BEFORE = "The function's process ended before it began the call, by something that was left behind in it.";

export class Turns {
  readonly #calls: Call[] = [];
  readonly #host: TurnsHost;
  #heldUpTimer: NodeJS.Timeout | null = null;
  #isHeldUp = false;

  constructor(host: TurnsHost) {
    this.#host = host;
  }

  /** The call that runs. */
  get first(): Call | undefined {
    return this.#calls[0];
  }

  get isEmpty(): boolean {
    return this.#calls.length === 0;
  }

  get takesCalls(): boolean {
    return !this.#isHeldUp && this.#calls.length < MAX_CALLS_IN_LINE;
  }

  /** Adds a call, which begins at once when it is alone. */
  add(call: Call): void {
    if (this.#calls.push(call) > 1) this.#heldUpTimer ??= setTimeout(() => this.#heldUp(), HELD_UP_MS);
    else this.#host.begin(call);
  }

  /** Takes a message about the call that runs. @throws ProtocolError when it may not come now */
  hear(message: OfCall): void {
    const call = this.first;
    if (call === undefined || message.call !== call.number) throw new ProtocolError("A message about no call of now.");
    if (!call.hear(message)) return;
    this.#host.finish(call);
    this.#remove(call);
    this.#goOn();
  }

  /**
   * Takes a call back that the sandbox was asked for. @throws ProtocolError when it was not asked,
   * or had begun the call
   */
  withdrawn(number: CallNumber): void {
    const call = this.#calls.find((one) => one.number === number);
    if (call === undefined) throw new ProtocolError("A message about no call of now.");
    call.giveBack();
    const wasFirst = this.first === call;
    this.#remove(call);
    if (wasFirst) this.#goOn();
  }

  /** The sandbox will begin no call behind that one. @throws ProtocolError when it has begun one */
  lose(lastBegun: CallNumber | 0): void {
    const index = this.#calls.findIndex(({ number }) => number === lastBegun);
    for (const call of this.#calls.slice(index + 1)) {
      call.lose(new CallFailure("function_error", "FUNCTION_EXITED", LEFT_BEFORE));
      this.#remove(call);
      if (this.isEmpty) this.#host.idle();
    }
  }

  /**
   * Tells the function that nobody waits for the answer; a call that has not begun is asked back.
   */
  cancel(call: Call): void {
    if (call.hasBegun) {
      call.isLastWritten = false;
      this.#host.send([encodeCancel(call.number)]);
    } else this.#askBack([call]);
  }

  /**
   * Whether there is nothing but one call in a single frame, of which the sandbox has said nothing
   * yet.
   */
  get mayBeUnread(): boolean {
    const [call, ...behind] = this.#calls;
    return call !== undefined && behind.length === 0 && call.stage === "waiting" && call.isLastWritten;
  }

  #remove(call: Call): void {
    const index = this.#calls.indexOf(call);
    this.#calls.splice(index, 1);
    if (index > 0) return;
    this.#isHeldUp = false;
    if (this.#calls.length > 1) this.#heldUpTimer?.refresh();
    else this.#stopTimer();
  }

  /** Takes all calls out and gives them, in order. */
  clear(): Call[] {
    this.#stopTimer();
    return this.#calls.splice(0);
  }

  #heldUp(): void {
    this.#heldUpTimer = null;
    this.#isHeldUp = true;
    this.#askBack(this.#calls.slice(1));
  }

  /** Begins the next call, if there is one. */
  #goOn(): void {
    const next = this.first;
    if (next === undefined) this.#host.idle();
    else this.#host.begin(next);
    // Its turn may have come there while it was being withdrawn.
    if (next?.isCancelled) this.cancel(next);
  }

  /**
   * Asks for the calls back whose turn does not come. The function may be too busy even to answer
   * that.
   */
  #askBack(calls: Call[]): void {
    for (const call of calls) {
      call.isAskedBack = true;
      call.isLastWritten = false;
    }
    this.#host.send(calls.map(({ number }) => encodeWithdraw(number)));
  }

  #stopTimer(): void {
    if (this.#heldUpTimer !== null) clearTimeout(this.#heldUpTimer);
    this.#heldUpTimer = null;
  }
}
