/**
 * The life of a gateway or worker process, the same under `npm start` and under systemd.
 *
 * A supervisor that started the process with an IPC channel is told `{type: "ready"}` or `{type:
 * "failed"}`, and after the former `{type: "alive"}` each second, from the event loop: a loop that
 * hangs says nothing, and whoever supervises ends the process. systemd is told the same. The first
 * SIGTERM or SIGINT drains: what runs may end. The second one, and the loss of the IPC channel,
 * stop at once. A process started without an IPC channel behaves the same and tells nobody.
 */
import { setFlagsFromString } from "node:v8";
import { ConfigError } from "./environment.ts";
import type { Logger } from "./log.ts";
import { connectSystemd } from "./systemd.ts";

/**
 * Exit code of a process that starting again cannot help: its configuration or its machine is wrong
 * (EX_CONFIG of sysexits.h).
 */
export const EXIT_CONFIG = 78;
/** Exit code of a process that was told to stop at once. */
const EXIT_STOPPED = 143;
/** How often a service says that it lives. */
const BEAT_MS = 1_000;

/** Words of a child of `npm start` over its IPC channel. */
export type ServiceMessage =
  | { type: "ready"; facts: Record<string, unknown> }
  | { type: "failed"; message: string; code: string | null; isFinal: boolean }
  | { type: "alive" };

/** This machine is not fit for the service; the message says why, and what to do. */
export class UnfitError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UnfitError";
  }
}

/** Throws UnfitError in the place of errors of that code, which starting again does not mend. */
export function unfitOnCode(code: string): (error: unknown) => never {
  return (error) => {
    const { message, code: its } = error as NodeJS.ErrnoException;
    throw its === code ? Object.assign(new UnfitError(message, { cause: error }), { code }) : error;
  };
}

export interface RunningService {
  /** Told to the supervisor: the gateway says its `url`. */
  facts?: Record<string, unknown>;
  /** Takes nothing new, lets what runs end, releases everything. */
  drain(): Promise<void>;
  /** Releases everything now; what runs is lost. May be called during `drain`. */
  stop(): Promise<void>;
}

/**
 * Starts a service and stays with it until it has ended; ends the process. A main.ts is one call of
 * this. An error nobody caught ends the process with 1, and whoever supervises it starts it again.
 */
export async function runService(log: Logger, start: () => Promise<RunningService>): Promise<void> {
  // Bodies are memory outside of V8's heap. By default it searches all of that for garbage with
  // each 64 MB of them, which took half of the time of a service that passes on bodies of a
  // megabyte; like this their share grows with what is alive.
  setFlagsFromString("--external-memory-accounted-in-global-limit");
  const fail = (error: unknown) => {
    log.error("ended by an error that nobody caught", { error });
    process.exit(1);
  };
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  const ending = new EndRequests();
  let service: RunningService;
  try {
    service = await start();
  } catch (error) {
    reportFailedStart(log, error);
    process.exit(isForPeople(error) ? EXIT_CONFIG : 1);
  }
  tellSupervisor({ type: "ready", facts: service.facts ?? {} });
  await beginBeats(log);
  log.info("told to end; what runs may end first", { by: await ending.first });
  const drained = service.drain().then(() => 0);
  const stopped = ending.second.then(() => service.stop()).then(() => EXIT_STOPPED);
  process.exit(await Promise.race([drained, stopped]));
}

/** Has the event loop say each second that it still turns, to whoever supervises. */
async function beginBeats(log: Logger): Promise<void> {
  const notifySystemd = await connectSystemd().catch((error: unknown) => {
    log.error("systemd cannot be told that this service is ready", { error });
    return null;
  });
  notifySystemd?.();
  setInterval(() => {
    tellSupervisor({ type: "alive" });
    notifySystemd?.();
  }, BEAT_MS).unref();
}

/** Requests to end this process, counted from its start, so that none is lost while it starts. */
class EndRequests {
  /** Resolves with who asked. */
  readonly first: Promise<string>;
  readonly second: Promise<void>;

  constructor() {
    const first = Promise.withResolvers<string>();
    const second = Promise.withResolvers<void>();
    this.first = first.promise;
    this.second = second.promise;
    let count = 0;
    const request = (signal: NodeJS.Signals) => {
      count += 1;
      if (count === 1) first.resolve(signal);
      else second.resolve();
    };
    process.on("SIGTERM", request);
    process.on("SIGINT", request);
    // The supervisor died, and its Redis with it: there is nothing left to drain for.
    process.once("disconnect", () => {
      first.resolve("the loss of its supervisor");
      second.resolve();
    });
  }
}

function reportFailedStart(log: Logger, error: unknown): void {
  const { message, code } = error as NodeJS.ErrnoException;
  log.error("could not start", isForPeople(error) ? { reason: message, ...(code && { code }) } : { error });
  const isFinal = isForPeople(error);
  tellSupervisor({ type: "failed", message: String(message ?? error), code: code ?? null, isFinal });
}

/** An error whose message says all, and which does not go away by itself. */
function isForPeople(error: unknown): boolean {
  return error instanceof ConfigError || error instanceof UnfitError;
}

function tellSupervisor(message: ServiceMessage): void {
  if (process.connected) process.send?.(message);
}
