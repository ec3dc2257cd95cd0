/** A sign on a terminal that something is waited for. */
import { CLEAR_LINE, type LineStream, QUIET_MS } from "./passing-line.ts";

const TURN_MS = 100;

export interface SpinnerOptions {
  stream: LineStream;
  /** Whether the terminal shows more than ASCII. */
  isUtf8: boolean;
  /** How long nothing is shown. */
  quietMs?: number;
}

/** The same promise, with a sign beside it for as long as it takes. */
export async function whileWaiting<Result>(
  answer: Promise<Result>,
  { stream, isUtf8, quietMs = QUIET_MS }: SpinnerOptions,
): Promise<Result> {
  const signs = isUtf8 ? "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" : "|/-\\";
  const startedMs = performance.now();
  let turns = 0;
  let turning: NodeJS.Timeout | undefined;
  const draw = (): void => {
    const seconds = Math.floor((performance.now() - startedMs) / 1_000);
    const since = seconds > 0 ? ` ${seconds} s` : "";
    stream.write(`${CLEAR_LINE}${signs[turns++ % signs.length]} waiting for the gateway${since}`);
  };
  const quiet = setTimeout(() => {
    draw();
    turning = setInterval(draw, TURN_MS);
  }, quietMs);
  try {
    return await answer;
  } finally {
    clearTimeout(quiet);
    clearInterval(turning);
    if (turns > 0) stream.write(CLEAR_LINE);
  }
}
