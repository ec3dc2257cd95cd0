/** The calls that an instance has: the one that runs, and behind it those that were sent ahead of their turn. */
import { MAX_CALLS_IN_LINE } from "../sandbox-core/protocol/frames.ts";
import type { Call } from "./call.ts";

/** When a call takes longer, those behind it are taken back: another instance may be free sooner. */
const PATIENT_MS = 20;

export class Line {
  readonly #calls: Call[] = [];
  readonly #onHeldUp: (behind: Call[]) => void;
  #patience: NodeJS.Timeout | null = null;
  #isHeldUp = false;

  /** @param onHeldUp gets the calls behind one that takes long. */
  constructor(onHeldUp: (behind: Call[]) => void) {
    this.#onHeldUp = onHeldUp;
  }

  /** The call that runs. */
  get first(): Call | undefined {
    return this.#calls[0];
  }

  get isEmpty(): boolean {
    return this.#calls.length === 0;
  }

  get hasPlace(): boolean {
    return !this.#isHeldUp && this.#calls.length < MAX_CALLS_IN_LINE;
  }

  add(call: Call): void {
    if (this.#calls.push(call) > 1) this.#patience ??= setTimeout(() => this.#heldUp(), PATIENT_MS);
  }

  find(number: number): Call | undefined {
    return this.#calls.find((call) => call.number === number);
  }

  /** Takes a call out, wherever it stands. */
  remove(call: Call): void {
    const index = this.#calls.indexOf(call);
    this.#calls.splice(index, 1);
    if (index > 0) return;
    this.#isHeldUp = false;
    if (this.#calls.length > 1) this.#patience?.refresh();
    else this.#stopPatience();
  }

  /** Takes all calls out and gives them, in order. */
  clear(): Call[] {
    this.#stopPatience();
    return this.#calls.splice(0);
  }

  #heldUp(): void {
    this.#patience = null;
    this.#isHeldUp = true;
    this.#onHeldUp(this.#calls.slice(1));
  }

  #stopPatience(): void {
    if (this.#patience !== null) clearTimeout(this.#patience);
    this.#patience = null;
  }
}
