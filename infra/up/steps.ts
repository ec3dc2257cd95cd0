/**
 * Progress of `npm start`: a live line per step on a terminal, one plain line per finished step
 * when piped.
 */
import { Interrupted } from "./failure.ts";

/** Where progress is written: standard output, or what a test gives. */
export interface Screen {
  write(text: string): unknown;
  isTTY?: boolean;
}

export interface Steps {
  /** Runs one step and shows how long it took. `describe` puts the result in a few words. */
  run<T>(name: string, work: () => Promise<T>, describe?: (result: T) => string): Promise<T>;
  /** A line of its own, at any time. */
  note(text: string): void;
}

const ERASE_LINE = "\r\u001b[K";
const MARKS = {
  done: { live: "✔", plain: "ok", colour: 32 },
  failed: { live: "✘", plain: "FAILED", colour: 31 },
  stopped: { live: "-", plain: "stopped", colour: 33 },
} as const;

/** @param colour whether marks may be coloured; only asked for on a terminal. */
export function createSteps(screen: Screen, colour: boolean): Steps {
  const live = screen.isTTY === true;
  const paint = (code: number, text: string) => (live && colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  let current: string | null = null;

  const begin = (name: string) => {
    current = name;
    if (live) screen.write(`  ${paint(2, "…")} ${name}`);
  };
  const end = (how: keyof typeof MARKS, text: string) => {
    current = null;
    const mark = MARKS[how];
    screen.write(`${live ? ERASE_LINE : ""}  ${paint(mark.colour, live ? mark.live : mark.plain)} ${text}\n`);
  };
  return {
    async run(name, work, describe) {
      const startedAt = performance.now();
      begin(name);
      try {
        const result = await work();
        const extra = describe ? `: ${describe(result)}` : "";
        end("done", `${name}${extra} ${paint(2, formatSeconds(performance.now() - startedAt))}`);
        return result;
      } catch (error) {
        end(wasInterrupted(error) ? "stopped" : "failed", name);
        throw error;
      }
    },
    note(text) {
      const interrupted = live ? current : null;
      screen.write(`${interrupted === null ? "" : ERASE_LINE}  ${text}\n`);
      if (interrupted !== null) begin(interrupted);
    },
  };
}

/** The user's own Ctrl-C is no failure of the step. */
function wasInterrupted(error: unknown): boolean {
  return error instanceof Interrupted || (error instanceof Error && error.name === "AbortError");
}

function formatSeconds(ms: number): string {
  return `(${(ms / 1000).toFixed(ms < 10_000 ? 2 : 0)} s)`;
}
