/**
 * When a batch goes: at once while little is in course, and when it is worth its cost while much
 * is.
 */

/** Fewer things in course than this, and nothing waits for company. */
const FEW = 8;
/** The part of what is in course that makes a batch, and the most that one waits for. */
const SHARE = 4;
const LARGEST_TARGET = 32;
/** The longest that anything waits for company, in milliseconds. */
const LONGEST_WAIT_MS = 2;

/**
 * Each message between two processes wakes one of them, which costs more than the message. With
 * many calls in course the next one is near, so what leaves waits for a quarter of them, or two
 * milliseconds.
 */
export class Pace {
  readonly #inCourse: () => number;
  readonly #send: () => void;
  #timer: NodeJS.Timeout | undefined;
  #going = false;

  /**
   * @param inCourse how many things are on their way at this moment, those that wait here included.
   */
  constructor(inCourse: () => number, send: () => void) {
    this.#inCourse = inCourse;
    this.#send = send;
  }

  /** Say so after each addition to the batch, with how many are in it now. */
  added(count: number): void {
    if (this.#going) return;
    const inCourse = this.#inCourse();
    // Nothing that could come along is anywhere.
    if (inCourse === 1) this.now();
    else if (count >= target(inCourse)) this.soon();
    else this.#timer ??= setTimeout(() => this.now(), LONGEST_WAIT_MS);
  }

  /**
   * Sends at the end of this turn of the event loop: by then every socket that was readable has had
   * its say.
   */
  soon(): void {
    if (this.#going) return;
    this.#going = true;
    setImmediate(() => this.now());
  }

  /** Sends what there is. */
  now(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#going = false;
    this.#send();
  }
}

function target(inCourse: number): number {
  return inCourse < FEW ? 1 : Math.min(LARGEST_TARGET, Math.floor(inCourse / SHARE));
}
