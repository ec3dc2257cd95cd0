/**
 * What runs inside a sandbox: connects the runtime to its socket and to the globals of its process.
 *
 * Everything here is imported, and as much as can be is done, before a zygote forks: a sandbox has no file system to
 * import from, and what is done once need not be done in each.
 */

import { requireBuiltin } from "./builtins.ts";
import { captureConsole, LineStream } from "./console.ts";
import { hideHost, replaceProcessEnv } from "./environment.ts";
import { EXIT_PROTOCOL, EXIT_SERVED, EXIT_UNCAUGHT, EXIT_WIRE_CLOSED } from "./exit-codes.ts";
import { installFetchObjects } from "./fetch/globals.ts";
import { Runtime } from "./runtime.ts";
import { expectTemplate, type Forks } from "./template.ts";
import { SocketWire } from "./wire.ts";

// Captured before tenant code.
const { setTimeout } = globalThis;

/** How long the last words of a dying function may take to leave, when the worker does not read. */
const LAST_WORDS_MS = 1_000;

/** What a process list shows, in which a zygote goes by its own name. */
const TITLE = "node";

type Exit = (code: number) => void;

/**
 * Takes over this process: replaces the console, process.stdout, process.stderr and process.env, defines `require`, and
 * hides the host. What it gives, called with the descriptor of an open stream socket, takes over process.exit and what
 * nobody catches, speaks protocol/frames.ts over the socket, and ends the process when that closes.
 *
 * A zygote does this before it forks, and each fork begins alone. The way out is `process.reallyExit` as it is when this
 * is called. A zygote must have put _exit(2) there: Node's own waits for threads that a fork does not have.
 * @param forks null when this process cannot be forked
 */
export function prepareRuntime(forks: Forks | null): (wireFd: number) => void {
  const exit = currentExit();
  const wire = new SocketWire();
  let servesOneCall = false;
  const runtime: Runtime = new Runtime(wire, {
    setEnvironment: replaceProcessEnv,
    flushOutput: () => {
      stdout.flush();
      stderr.flush();
    },
    expectTemplate: () =>
      expectTemplate(wire, forks, () => {
        servesOneCall = true;
      }),
    idle: () => {
      if (servesOneCall) wire.flush(() => exit(EXIT_SERVED));
    },
    die: () => dieAfterLastWords(wire, exit),
  });
  const stdout = new LineStream(runtime.log, "stdout");
  const stderr = new LineStream(runtime.log, "stderr");
  takeOverGlobals(runtime, stdout, stderr);
  hideHost();
  replaceProcessEnv({});
  return (wireFd) => {
    process.title = TITLE;
    takeOverExits(runtime, exit);
    wire.start(
      wireFd,
      (message) => runtime.handle(message),
      (error) => exit(error === null ? EXIT_WIRE_CLOSED : EXIT_PROTOCOL),
    );
    runtime.ready();
  };
}

function takeOverGlobals(runtime: Runtime, stdout: LineStream, stderr: LineStream): void {
  installFetchObjects();
  captureConsole(console, runtime.log, (text) => runtime.mapPositions(text));
  define(process, "stdout", stdout);
  define(process, "stderr", stderr);
  // esbuild's wrapper around CommonJS looks for a global of this name.
  define(globalThis, "require", Object.assign(requireBuiltin, { resolve: resolveBuiltin }));
}

function resolveBuiltin(specifier: string): string {
  requireBuiltin(specifier);
  return specifier;
}

/** Hidden from enumeration, and replaceable, as Node's own globals are. */
function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, configurable: true, writable: true, enumerable: false });
}

function takeOverExits(runtime: Runtime, exit: Exit): void {
  const leave = (code?: unknown) => exit(Number(code ?? process.exitCode ?? 0) & 0xff) as never;
  process.exit = leave;
  define(process, "reallyExit", leave);
  // As in plain Node, a listener of the function's own takes over.
  const own = (event: string, error: unknown) => {
    if (process.listenerCount(event) === 1) runtime.uncaught(error);
  };
  process.on("uncaughtException", (error) => own("uncaughtException", error));
  process.on("unhandledRejection", (reason) => own("unhandledRejection", reason));
}

function dieAfterLastWords(wire: SocketWire, exit: Exit): void {
  setTimeout(() => exit(EXIT_UNCAUGHT), LAST_WORDS_MS);
  wire.flush(() => exit(EXIT_UNCAUGHT));
}

function currentExit(): Exit {
  const { reallyExit } = process as unknown as { reallyExit: Exit };
  return reallyExit.bind(process);
}
