/**
 * Signs of life of a zygote, a relay or an injector. The holder asks once a second, and any answer
 * counts. A process that somebody stopped is given up at the second beat; a silent one gets ten, as
 * a machine may be slow. The kernel ends a zygote whose single turn takes ten seconds by itself
 * (alarm(2), zygote/serve.ts).
 *
 * Beats are counted and not milliseconds, so that a worker that stood still itself does not blame
 * the process.
 */
import { readFileSync } from "node:fs";

const BEAT_MS = 1_000;
/** Longer than any single piece of such a process's work. */
const MOST_BEATS_UNANSWERED = 10;

export class ProcessHeartbeat {
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;
  #unanswered = 0;

  /** Begins at once. `ask` makes the zygote answer; `onSilence` is called once, with the reason. */
  constructor(pid: number, ask: () => void, onSilence: (why: string) => void) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.#beat(ask, onSilence), BEAT_MS).unref();
  }

  /** Notes a sign of life. */
  heard(): void {
    this.#unanswered = 0;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(ask: () => void, onSilence: (why: string) => void): void {
    const why = this.#wrong();
    if (why !== null) {
      this.stop();
      onSilence(why);
      return;
    }
    this.#unanswered += 1;
    ask();
  }

  #wrong(): string | null {
    if (this.#unanswered === 0) return null;
    if (isStopped(this.#pid)) return "it was stopped";
    if (this.#unanswered < MOST_BEATS_UNANSWERED) return null;
    return `it has not answered for ${(MOST_BEATS_UNANSWERED * BEAT_MS) / 1_000} s`;
  }
}

/** By a signal (proc_pid_stat(5), state T); a debugger that looks at it is another state. */
function isStopped(pid: number): boolean {
  try {
    return /^\d+ \(.*\) T /s.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    // The process is gone, which its exit tells.
    return false;
  }
}
