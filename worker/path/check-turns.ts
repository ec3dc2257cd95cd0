/**
 * Turns of checks. A worker begins few at once, as calls need its processors; but a module that
 * waits while it is loaded has its turn for a moment only, and then others begin beside it. So a
 * tenant whose modules wait for half a minute each keeps nobody from deploying.
 */

/** Checks that have a turn at once. */
const TURNS = 2;
/** Longest time of a turn: few modules take as long to load. */
const TURN_MS = 1_000;
/** Most checks at once, in turn or not, beside a part of what the worker has. */
const MOST = 32;

/** Most checks that a worker of so many instances has at once: calls need the others. */
export function mostChecks(instances: number): number {
  return Math.max(TURNS, Math.min(MOST, Math.floor(instances / 2)));
}

export class CheckTurns {
  readonly #turnMs: number;
  readonly #waiting: (() => void)[] = [];
  #free = TURNS;

  constructor(turnMs = TURN_MS) {
    this.#turnMs = turnMs;
  }

  /** Does the work when its turn comes; the turn ends with the work, or before. */
  async take<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let hasTurn = true;
    const end = () => {
      if (hasTurn) this.#next();
      hasTurn = false;
    };
    const timer = setTimeout(end, this.#turnMs);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
      end();
    }
  }

  /** Gives a turn to whoever waited longest. */
  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}
