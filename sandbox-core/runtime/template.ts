/**
 * How a process becomes a template: it is asked to, shows that it can be forked, and goes on in
 * each of its forks.
 */
import { Beforehand } from "./no-template-reason.ts";
import type { SocketWire } from "./wire.ts";

// Captured before tenant code.
const { setImmediate } = globalThis;

/** The means to fork a process. One that was started as a program of its own has none. */
export interface Forks {
  /**
   * Forks when the worker says so, and never returns in this process. Returns in each fork, which
   * has the wire then.
   * @param livesLong whether a fork serves more than one call
   */
  serve(livesLong: boolean): void;
}

/** The outcome for a process that is asked to be a template. */
export interface Becoming {
  livesLong: boolean;
  /**
   * Told why it cannot be forked, or null. From that word on, nothing here reads what the worker
   * sends.
   */
  tell(noTemplateReason: string | null): void;
  /** Called in each fork, before it reads from its wire. */
  onFork(): void;
}

const NO_FORKS = "the sandboxes of this worker are started anew instead of forked (SANDPIPER_LAUNCHER)";

export class TemplateMaker {
  readonly #wire: SocketWire;
  readonly #forks: Forks | null;
  #beforehand: Beforehand | null = null;

  constructor(wire: SocketWire, forks: Forks | null) {
    this.#wire = wire;
    this.#forks = forks;
  }

  /** Notes what is open while the process is blank: no function's code has run in it. */
  noteBlank(): void {
    if (this.#forks !== null) this.#beforehand = new Beforehand();
  }

  /**
   * Makes this process, in which a version is loaded and no call runs, a template if it can be one.
   */
  become({ livesLong, tell, onFork }: Becoming): void {
    const [forks, beforehand] = [this.#forks, this.#beforehand];
    if (forks === null || beforehand === null) {
      tell(NO_FORKS);
      return;
    }
    const become = () => {
      const noTemplateReason = beforehand.noTemplateReason();
      tell(noTemplateReason);
      if (noTemplateReason !== null) return;
      // The worker sends nothing before it has heard that, so nothing is read by this process that
      // is a fork's to read.
      this.#wire.flush(() => {
        forks.serve(livesLong);
        onFork();
      });
    };
    // Outside of what brought the order, and of what is waiting to be written.
    this.#wire.flush(() => void setImmediate(become));
  }
}
