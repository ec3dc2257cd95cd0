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
import { ProcessHeartbeat } from "./heartbeat.ts";
import { cpuMsOf, isAnyAtWork } from "./tasks.ts";
import { describeOverrun, type WorkLimits, WorkWatch } from "./work-limit.ts";

/**
 * Of a start, which takes a second of a processor. A busy machine gets many times as long before a
 * zygote is given up: the next one would have no better chance.
 */
const START_LIMITS: WorkLimits = { cpuMs: 30_000, waitMs: 30_000, wallMs: 300_000 };
const LAST_WORDS_BYTES = 4_096;

const SILENT = "it said nothing before it was ready, as when the kernel ends it for want of memory";

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
  #heartbeat: ProcessHeartbeat | undefined;
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
   * @throws SandboxError with what it said when it does not, or with the limit that it reached
   */
  static async start(
    nodeFlags: readonly string[],
    options: ZygoteOptions,
    events: ZygoteEvents,
    limits = START_LIMITS,
  ): Promise<ZygoteProcess> {
    const start = fileURLToPath(import.meta.resolve("../zygote/start.ts"));
    const child = spawn(process.execPath, [...compileCacheFlags(), start, ...nodeFlags, JSON.stringify(options)], {
      env: {},
      cwd: "/",
      detached: true,
      stdio: ["ignore", "ignore", "pipe", "pipe"],
    });
    const zygote = new ZygoteProcess(child);
    await zygote.#begin(events, limits);
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

  async #begin({ onResponse, onDeath }: ZygoteEvents, limits: WorkLimits): Promise<void> {
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
      reject(new SandboxError(`${reason}: ${this.#givenUp ?? (this.#lastWords.trim() || SILENT)}`));
      const why = this.#givenUp ?? errorIn(this.#lastWords);
      onDeath(why ? `${reason}: ${why}` : reason);
    });
    const look = () => ({ cpuMs: cpuMsOf(this.pid), isAtWork: isAnyAtWork([this.pid]) });
    const watch = new WorkWatch(limits, look, (overrun) =>
      this.#giveUp(`it was not ready ${describeOverrun(overrun)}`),
    );
    await ready.finally(() => watch.stop());
  }

  #giveUp(why: string): void {
    this.#givenUp = why;
    this.#child.kill("SIGKILL");
  }

  /**
   * Ends it when it does not answer any more: its sandboxes end with it, and what was asked of it
   * fails.
   */
  #watch(): void {
    if (this.#dead) return;
    const onSilence = (why: string) => this.#giveUp(why);
    this.#heartbeat = new ProcessHeartbeat(this.pid, () => this.send({ op: "ping" }), onSilence);
  }
}

/** The line of a process's last words that names the error that ended it, or "". */
function errorIn(lastWords: string): string {
  return /^\w*Error: .*/m.exec(lastWords)?.[0] ?? "";
}
