/** One zygote as its worker sees it: a child process, and messages both ways. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { SandboxError } from "../contract/error.ts";
import {
  CONTROL_FD,
  LineReader,
  type Request,
  type Response,
  type ZygoteFacts,
  type ZygoteOptions,
} from "../protocol/control.ts";
import { compileCacheFlags } from "./compile-cache.ts";
import { ZygoteHeartbeat } from "./heartbeat.ts";

const START_TIMEOUT_MS = 30_000;
const LAST_WORDS_BYTES = 4_096;

export interface ZygoteEvents {
  onResponse: (response: Response) => void;
  /** Called once, after the process is gone. */
  onDeath: (reason: string) => void;
}

export class ZygoteProcess {
  readonly #child: ChildProcess;
  readonly #control: Socket;
  #dead = false;
  #lastWords = "";
  #heartbeat: ZygoteHeartbeat | undefined;
  /** Why it was given up, when it was. */
  #givenUp: string | undefined;
  /** The cgroup of its sandboxes, and what it knows about their walls, once it is ready. */
  group = "";
  facts: ZygoteFacts = { filterSha256: { fork: "", exec: "" }, landlockAbi: 0, refusesDescriptors: false };

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#control = child.stdio[CONTROL_FD] as Socket;
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-LAST_WORDS_BYTES);
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /**
   * Starts a zygote with an empty environment in a session of its own, and resolves when it serves.
   * @throws SandboxError with what it said when it does not
   */
  static async start(
    nodeFlags: readonly string[],
    options: ZygoteOptions,
    events: ZygoteEvents,
  ): Promise<ZygoteProcess> {
    const start = fileURLToPath(import.meta.resolve("../zygote/start.ts"));
    const child = spawn(process.execPath, [...compileCacheFlags(), start, ...nodeFlags, JSON.stringify(options)], {
      env: {},
      cwd: "/",
      detached: true,
      stdio: ["ignore", "ignore", "pipe", "pipe"],
    });
    const zygote = new ZygoteProcess(child);
    await zygote.#begin(events);
    zygote.#watch();
    return zygote;
  }

  send(request: Request): void {
    if (!this.#dead && this.#control.writable) this.#control.write(`${JSON.stringify(request)}\n`);
  }

  /**
   * Has it end its sandboxes and itself by hanging up; resolves when it is gone, by force if need
   * be.
   */
  async stop(): Promise<void> {
    if (this.#dead) return;
    const gone = once(this.#child, "exit");
    this.#control.end();
    await gone;
  }

  async #begin({ onResponse, onDeath }: ZygoteEvents): Promise<void> {
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    const reader = new LineReader<Response>();
    this.#control.on("data", (chunk: Buffer) => {
      this.#heartbeat?.heard();
      for (const response of reader.push(chunk)) {
        if (response.is !== "ready") onResponse(response);
        else {
          this.group = response.group;
          this.facts = response.facts;
          resolve();
        }
      }
    });
    // The exit says what happened; a broken socket alone says nothing more.
    this.#control.on("error", () => undefined);
    this.#child.on("error", (cause) =>
      reject(new SandboxError(`the zygote cannot be started: ${cause.message}`, { cause })),
    );
    this.#child.on("close", (code, signal) => {
      this.#dead = true;
      this.#heartbeat?.stop();
      const reason = `the zygote died (${signal ?? `exit code ${code}`})`;
      reject(new SandboxError(`${reason}: ${this.#lastWords.trim()}`));
      const why = this.#givenUp ?? errorIn(this.#lastWords);
      onDeath(why ? `${reason}: ${why}` : reason);
    });
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), START_TIMEOUT_MS);
    await ready.finally(() => clearTimeout(timer));
  }

  /**
   * Ends it when it does not answer any more: its sandboxes end with it, and what was asked of it
   * fails.
   */
  #watch(): void {
    if (this.#dead) return;
    const giveUp = (why: string) => {
      this.#givenUp = why;
      this.#child.kill("SIGKILL");
    };
    this.#heartbeat = new ZygoteHeartbeat(this.pid, () => this.send({ op: "ping" }), giveUp);
  }
}

/** The line of a process's last words that names the error that ended it, or "". */
function errorIn(lastWords: string): string {
  return /^\w*Error: .*/m.exec(lastWords)?.[0] ?? "";
}
