/** Progress of `npm start`: a live line per step on a terminal, one plain line per finished step when piped. */
import { Interrupted } from "./failure.ts";

/** Where progress is written: standard output, or what a test gives. */
export interface Screen {
  write(text: string): unknown;
  isTTY?: boolean;
}

export interface Steps {
  /** Runs one step and shows how long it took. `work` may return a few words on the result. */
  run<T>(name: string, work: () => Promise<T>, describe?: (result: T) => string): Promise<T>;
  /** A line of its own, at any time. */
  note(text: string): void;
}

/** @param colour whether marks may be coloured; only asked for on a terminal. */
export function createSteps(screen: Screen, colour: boolean): Steps {
  const live = screen.isTTY === true;
  const paint = (code: number, text: string) => (live && colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const eraseLine = "\r\u001b[K";
  let current: string | null = null;

  const begin = (name: string) => {
    current = name;
    if (live) screen.write(`  ${paint(2, "…")} ${name}`);
  };
  const end = (mark: string, text: string) => {
    current = null;
    screen.write(`${live ? eraseLine : ""}  ${mark} ${text}\n`);
  };
  return {
    async run(name, work, describe) {
      const startedAt = performance.now();
      begin(name);
      try {
        const result = await work();
        const extra = describe?.(result);
        const took = paint(2, formatSeconds(performance.now() - startedAt));
        end(paint(32, live ? "✔" : "ok"), `${name}${extra ? `: ${extra}` : ""} ${took}`);
        return result;
      } catch (error) {
        if (wasInterrupted(error)) end(paint(33, live ? "-" : "stopped"), name);
        else end(paint(31, live ? "✘" : "FAILED"), name);
        throw error;
      }
    },
    note(text) {
      screen.write(`${live && current !== null ? eraseLine : ""}  ${text}\n`);
      if (current !== null) begin(current);
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
