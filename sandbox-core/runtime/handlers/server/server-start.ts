/**
 * Waits until a module listens: many do so only when what they await at their start is there.
 *
 * A module that has nothing under way any more never will. In plain Node its process would end.
 */
import type { Evaluated } from "../../load.ts";
import type { Handler } from "../handler.ts";
import { serverHandler } from "./server.ts";
import { Listeners } from "./server-listeners.ts";

// Captured before tenant code.
const { setTimeout, setImmediate } = globalThis;
const getActiveResourcesInfo = process.getActiveResourcesInfo.bind(process);
const cpuUsage = process.cpuUsage.bind(process);

/**
 * Longest time between two looks. They are counted, and not the time that they take, so that a
 * process that stood still itself gives nobody up.
 */
const LOOK_MS = 50;
/**
 * Below the time that loading may wait in all, at the end of which nobody says what it waited for.
 */
export const MOST_LOOKS = 500;
/** Looks where something else than a server would do, too. */
export const FEW_LOOKS = 20;
/** A process that compiles in the background takes more processor time than this in such a time. */
const QUIET = { ms: 20, cpuUs: 5_000 };

/**
 * Watches a module that may listen, from before its evaluation on; null for one whose code does not
 * even mention it.
 * @param port the one that the module is told to listen on
 */
export function watchStartup(code: string, port = ""): Startup | null {
  return code.includes("listen") ? new Startup(new Listeners(port), code) : null;
}

export class Startup {
  readonly #listeners: Listeners;
  /** Whether the module may compile in threads of V8's, which shows as nothing that is open. */
  readonly #mayCompile: boolean;
  #handler: Handler | null = null;
  /** What keeps the process going without the module. */
  readonly #before = getActiveResourcesInfo();

  /** Begins before the module is evaluated. */
  constructor(listeners: Listeners, code: string) {
    this.#listeners = listeners;
    this.#mayCompile = code.includes("WebAssembly");
  }

  /**
   * The exports of a module, once it is evaluated; nothing, when a server of it has listened for
   * some looks before that, as there are modules whose evaluation awaits the end of their server.
   * @param onLateError gets what the evaluation rejects with after that
   */
  async exportsOf(evaluation: Promise<Evaluated>, onLateError: (error: unknown) => void): Promise<Evaluated> {
    let isOver = false;
    const over = evaluation.finally(() => {
      isOver = true;
    });
    const evaluated = await Promise.race([over, this.#hasListened(() => isOver)]);
    if (evaluated !== null) return evaluated;
    evaluation.catch(onLateError);
    return { exports: {} };
  }

  /**
   * A handler that passes calls on to the server that listens; null when none ever will, or when
   * none did at so many looks.
   * @throws TypeError when the server cannot be used
   */
  async server(mostLooks: number): Promise<Handler | null> {
    if (await this.#listens(mostLooks)) this.#handler = serverHandler(this.#listeners);
    return this.#handler;
  }

  /** A sentence where the module listens, and another handler was found. */
  remarks(handler: Handler): string[] {
    const listener = this.#listeners.chosen;
    if (listener === null || handler === this.#handler) return [];
    return [
      `The module listens on ${listener.name} as well, and nothing goes to its server: calls go to its handler, ` +
        'unless "kind" in sandpiper.jsonc is "server".',
    ];
  }

  async #listens(mostLooks: number): Promise<boolean> {
    const listeners = this.#listeners;
    // What a module begins behind its evaluation has begun after a turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    for (let look = 0; look < mostLooks && listeners.chosen === null; look++) {
      if (this.#hasOpen()) {
        listeners.lookAtThreads();
        await this.#pause(Math.min(LOOK_MS, 2 ** look));
      } else if (!this.#mayCompile || (await this.#isQuiet())) break;
    }
    return listeners.chosen !== null;
  }

  async #hasListened(isOver: () => boolean): Promise<null> {
    const listeners = this.#listeners;
    while (listeners.chosen === null) await listeners.next();
    for (let look = 0; look < FEW_LOOKS && !isOver(); look++) await pause(LOOK_MS);
    return null;
  }

  /** Whether something of the module's own is under way. */
  #hasOpen(): boolean {
    if (this.#listeners.hasThreads) return true;
    const rest = [...this.#before];
    return getActiveResourcesInfo().some((name) => {
      const index = rest.indexOf(name);
      if (index >= 0) rest.splice(index, 1);
      return index < 0;
    });
  }

  async #isQuiet(): Promise<boolean> {
    const before = cpuUsage();
    await this.#pause(QUIET.ms);
    const { user, system } = cpuUsage(before);
    return user + system < QUIET.cpuUs && !this.#hasOpen();
  }

  /** Waits, at most until a server listens. */
  #pause(ms: number): Promise<void> {
    return Promise.race([this.#listeners.next(), pause(ms)]);
  }
}

/** Waits, and keeps no process alive, so that this is nothing of the module's. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
