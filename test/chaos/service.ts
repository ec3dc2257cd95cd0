/**
 * A gateway or worker that is started again when it dies, as systemd does by `Restart=always` and
 * `RestartSec=1`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { EXIT_CONFIG, type ServiceMessage } from "../../infra/service.ts";

export interface ServiceSpec {
  name: string;
  /** What to run, asked at each start: another version of the code, another port. */
  command(): { argv: string[]; env: Record<string, string> };
  /** Hears of ends that nobody asked for, in words. */
  onDeath(what: string): void;
  /** File for what it writes; nothing is kept without. */
  logFile?: string | undefined;
}

const RESTART_MS = 1_000;

export class Service {
  readonly #spec: ServiceSpec;
  readonly #changed = new EventEmitter();
  #child: ChildProcess | null = null;
  #state: "down" | "starting" | "ready" | "unfit" = "down";
  #wanted = false;
  /** Why its last start failed, as it says itself. */
  #failure = "";
  /** What its last start said of itself. */
  facts: Record<string, unknown> = {};

  constructor(spec: ServiceSpec) {
    this.#spec = spec;
    this.#changed.setMaxListeners(0);
  }

  get name(): string {
    return this.#spec.name;
  }

  /** Process id of now; null while there is none. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Starts it; resolves when it is ready. @throws Error when starting again could not help */
  async start(): Promise<void> {
    this.#wanted = true;
    this.#spawn();
    await this.ready();
  }

  /** Resolves when it is ready, at once when it is. @throws as `start` */
  async ready(): Promise<void> {
    while (this.#state !== "ready") {
      if (this.#state === "unfit") throw new Error(`${this.name} does not start: ${this.#failure}`);
      await once(this.#changed, "changed");
    }
  }

  /** SIGKILL, as an accident: it is started again. Resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Ends it for good, by SIGTERM as an operator does; resolves when it is gone. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#wanted = false;
    await this.#end(signal);
  }

  /** Sends a signal and waits for nothing. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  #spawn(): void {
    const { argv, env } = this.#spec.command();
    const [program = "", ...args] = argv;
    const { logFile } = this.#spec;
    const output = logFile === undefined ? null : openSync(logFile, "a");
    const child = spawn(program, args, { env, stdio: ["ignore", output ?? "ignore", output ?? "ignore", "ipc"] });
    if (output !== null) closeSync(output);
    this.#child = child;
    this.#failure = "";
    this.#become("starting");
    child.on("message", (message: ServiceMessage) => {
      if (message.type === "failed") this.#failure = message.message;
      if (message.type !== "ready") return;
      this.facts = message.facts;
      this.#become("ready");
    });
    child.once("exit", (code, signal) => void this.#ended(code, signal));
  }

  async #ended(code: number | null, signal: NodeJS.Signals | null): Promise<void> {
    this.#child = null;
    if (this.#wanted && signal !== "SIGKILL") {
      this.#spec.onDeath(`${this.name} ended with ${signal ?? code}${this.#failure && `: ${this.#failure}`}`);
    }
    this.#become(code === EXIT_CONFIG ? "unfit" : "down");
    await wait(RESTART_MS);
    if (this.#wanted && this.#state === "down") this.#spawn();
  }

  #become(state: "down" | "starting" | "ready" | "unfit"): void {
    this.#state = state;
    this.#changed.emit("changed");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    // A process that was stopped hears nothing but SIGKILL.
    child.kill("SIGCONT");
    await gone;
  }
}
