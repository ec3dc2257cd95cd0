/**
 * This folder runs in the sandbox, as the tenant's process: nobody's user, no capability, every
 * wall up. The process holds one version's code and environment, one socket to its worker and one
 * for its output. Nothing here is trusted: a tenant may have replaced all of it.
 *
 * This file connects the runtime to its socket and to the globals of its process. All modules are
 * imported before a zygote forks, as a sandbox has no file system to import from; and as much as
 * possible is done then, since work done once need not be done in each fork.
 */

import { noteFailedConnections } from "./connection-notes.ts";
import { captureConsole, LineStream } from "./console.ts";
import { define } from "./define.ts";
import { hideHost, replaceProcessEnv } from "./environment.ts";
import { EXIT_PROTOCOL, EXIT_SERVED, EXIT_WIRE_CLOSED } from "./exit-codes.ts";
import { currentExit, dieAfterLastWords, takeOverExits } from "./exits.ts";
import { installFetchObjects } from "./fetch/globals.ts";
import { defineAwsLambda } from "./handlers/lambda/lambda-stream.ts";
import { requireOuter, resolveOuter } from "./outer-modules.ts";
import { allAreNamed } from "./own-names.ts";
import { Runtime } from "./runtime.ts";
import { FUNCTION_DIRECTORY, FUNCTION_FILE } from "./stack.ts";
import { type Forks, TemplateMaker } from "./template.ts";
import { SocketWire } from "./wire.ts";

/** The name in a process list; a zygote goes by its own. */
const TITLE = "node";

/**
 * Takes over this process: replaces the console, process.stdout, process.stderr and process.env,
 * defines `require`, and hides the host. The function that it returns, called with the descriptor
 * of an open stream socket, takes over process.exit and what nobody catches, speaks
 * protocol/frames.ts over the socket, and ends the process when that closes.
 *
 * A zygote does this before it forks, and each fork begins alone. The way out is
 * `process.reallyExit` as it is when this is called. A zygote must have put _exit(2) there: Node's
 * own waits for threads that a fork does not have.
 * @param forks null when this process cannot be forked
 */
export function prepareRuntime(forks: Forks | null): (wireFd: number) => void {
  const exit = currentExit();
  const wire = new SocketWire();
  const maker = new TemplateMaker(wire, forks);
  let servesOneCall = false;
  const runtime: Runtime = new Runtime(wire, {
    setEnvironment: (env) => {
      replaceProcessEnv(env);
      enterDirectory();
    },
    flushOutput: () => {
      stdout.flush();
      stderr.flush();
    },
    becomeTemplate: (becoming) =>
      maker.become({
        ...becoming,
        onFork: () => {
          servesOneCall = !becoming.livesLong;
          becoming.onFork();
        },
      }),
    idle: () => {
      if (servesOneCall) wire.flush(() => exit(EXIT_SERVED));
    },
    die: () => dieAfterLastWords(wire, exit),
  });
  const mapPositions = (text: string) => runtime.mapPositions(text);
  const stdout = new LineStream(runtime.log, "stdout", mapPositions);
  const stderr = new LineStream(runtime.log, "stderr", mapPositions);
  allAreNamed();
  takeOverGlobals(runtime, stdout, stderr);
  noteFailedConnections((text) => runtime.log.note(text));
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
    maker.noteBlank();
    runtime.ready();
  };
}

/** Captured before tenant code. */
const chdir = process.chdir.bind(process);

/** Relative paths are below the function's directory, where the files of `include` are. */
function enterDirectory(): void {
  try {
    chdir(FUNCTION_DIRECTORY);
  } catch {
    // There is none outside of a sandbox.
  }
}

function takeOverGlobals(runtime: Runtime, stdout: LineStream, stderr: LineStream): void {
  installFetchObjects();
  defineAwsLambda();
  captureConsole(console, runtime.log, (text) => runtime.mapPositions(text));
  define(process, "stdout", stdout);
  define(process, "stderr", stderr);
  // esbuild's wrapper around CommonJS looks for a global of this name.
  const main = { exports: {}, id: ".", filename: FUNCTION_FILE, loaded: true, children: [], paths: [] };
  define(globalThis, "require", Object.assign(requireOuter, { resolve: resolveOuter, main, cache: {} }));
}
