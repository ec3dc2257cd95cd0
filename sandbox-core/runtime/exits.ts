/** The ways out of the process that the runtime lives in. */
import { define } from "./define.ts";
import { EXIT_UNCAUGHT } from "./exit-codes.ts";
import type { Runtime } from "./runtime.ts";
import type { SocketWire } from "./wire.ts";

// Captured before tenant code.
const { setTimeout } = globalThis;

/** How long the last words of a dying function may take to leave, when the worker does not read. */
const LAST_WORDS_MS = 1_000;

export type Exit = (code: number) => void;

/** Has process.exit, and what nobody catches, end in what the runtime does about it. */
export function takeOverExits(runtime: Runtime, exit: Exit): void {
  const leave = (code?: unknown) => {
    runtime.leave();
    return exit(Number(code ?? process.exitCode ?? 0) & 0xff) as never;
  };
  process.exit = leave;
  define(process, "reallyExit", leave);
  // As in plain Node, a listener of the function's own takes over.
  const own = (event: string, error: unknown) => {
    if (process.listenerCount(event) === 1) runtime.uncaught(error);
  };
  process.on("uncaughtException", (error) => own("uncaughtException", error));
  process.on("unhandledRejection", (reason) => own("unhandledRejection", reason));
}

/** Ends the process once what was sent has left it, or after a while. */
export function dieAfterLastWords(wire: SocketWire, exit: Exit): void {
  setTimeout(() => exit(EXIT_UNCAUGHT), LAST_WORDS_MS);
  wire.flush(() => exit(EXIT_UNCAUGHT));
}

/** The way out as it is now. */
export function currentExit(): Exit {
  const { reallyExit } = process as unknown as { reallyExit: Exit };
  return reallyExit.bind(process);
}
