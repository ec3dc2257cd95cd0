/**
 * A relay or an injector of egress as its holder sees it: a child process, messages and
 * descriptors. One that hangs is ended, so that a next one takes its place.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { SandboxError } from "../contract/error.ts";
import { LineReader } from "../protocol/control.ts";
import { type Ping, type Pong, RELAY_CONTROL_FD, RELAY_MESSAGE_BYTES } from "../protocol/egress.ts";
import { sys } from "../syscall/libc.ts";
import { compileCacheFlags } from "./compile-cache.ts";
import { ProcessHeartbeat } from "./heartbeat.ts";

const LAST_WORDS_BYTES = 4_096;
/** Bounds its own memory; buffers of sockets are bounded by the number of connections. */
const NODE_FLAGS = ["--max-old-space-size=256", "--max-semi-space-size=8", "--no-warnings"];

/** First modules. */
const MAINS = {
  relay: import.meta.resolve("../egress/main.ts"),
  injector: import.meta.resolve("../injector/main.ts"),
} as const;
type EgressProgram = keyof typeof MAINS;

export interface EgressProcessEvents<Response> {
  /** Told of everything that it says, but for signs of life. */
  onWord: (response: Response) => void;
  /** Called once, after the process is gone. */
  onDeath: (reason: string) => void;
}

/** Takes requests and says responses; the first one says that it serves. */
export class EgressProcess<Request, Response extends { is: string }> {
  readonly #child: ChildProcess;
  readonly #control: Socket;
  readonly #descriptors: number;
  readonly #gone: Promise<unknown>;
  #isDead = false;
  #lastWords = "";
  #heartbeat: ProcessHeartbeat | undefined;
  /** Why it was ended for hanging. */
  #givenUp: string | undefined;

  readonly #program: EgressProgram;

  private constructor(program: EgressProgram, child: ChildProcess, descriptors: number) {
    this.#program = program;
    this.#child = child;
    this.#control = child.stdio[RELAY_CONTROL_FD] as Socket;
    this.#descriptors = descriptors;
    this.#gone = once(child, "close");
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-LAST_WORDS_BYTES);
    });
  }

  get pid(): number | undefined {
    return this.#isDead ? undefined : this.#child.pid;
  }

  /**
   * Starts one, and resolves when it serves.
   * @throws SandboxError with what it said when it does not
   */
  static async start<Request, Response extends { is: string }>(
    program: EgressProgram,
    options: object,
    events: EgressProcessEvents<Response>,
  ): Promise<EgressProcess<Request, Response>> {
    const start = fileURLToPath(import.meta.resolve("../egress/start.ts"));
    const main = fileURLToPath(MAINS[program]);
    const [ours, theirs] = sys.socketpair();
    const argv = [...compileCacheFlags(), ...NODE_FLAGS, start, main, JSON.stringify(options)];
    const child = spawn(process.execPath, argv, {
      env: {},
      cwd: "/",
      detached: true,
      stdio: ["ignore", "ignore", "pipe", "pipe", theirs],
    });
    sys.close(theirs);
    const started = new EgressProcess<Request, Response>(program, child, ours);
    await started.#begin(events);
    started.#watch();
    return started;
  }

  send(request: Request | Ping): void {
    if (!this.#isDead && this.#control.writable) this.#control.write(`${JSON.stringify(request)}\n`);
  }

  /**
   * Sends sockets under a number, a sandbox's, before the request that tells of them.
   * @throws SyscallError, EAGAIN when so many wait there that it must be given up
   */
  sendSockets(number: number, fds: readonly number[]): void {
    const bytes = Buffer.alloc(RELAY_MESSAGE_BYTES);
    bytes.writeBigUInt64LE(BigInt(number));
    if (!this.#isDead) sys.sendDescriptors(this.#descriptors, bytes, fds);
  }

  /** Ends it by force; resolves when it is gone. */
  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#gone;
  }

  async #begin({ onWord, onDeath }: EgressProcessEvents<Response>): Promise<void> {
    const what = `the ${this.#program} of egress`;
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    const reader = new LineReader<Response | Pong>();
    this.#control.on("data", (chunk: Buffer) => {
      this.#heartbeat?.heard();
      for (const response of reader.push(chunk)) {
        if (isPong(response)) continue;
        onWord(response);
        resolve();
      }
    });
    // The exit says what happened.
    this.#control.on("error", () => undefined);
    this.#child.on("error", (cause) =>
      reject(new SandboxError(`${what} cannot be started: ${cause.message}`, { cause })),
    );
    this.#child.on("close", (code, signal) => {
      this.#isDead = true;
      this.#heartbeat?.stop();
      sys.close(this.#descriptors);
      const reason = `${what} died (${signal ?? `exit code ${code}`})`;
      const words = this.#givenUp ?? this.#lastWords.trim();
      reject(new SandboxError(words === "" ? reason : `${reason}: ${words}`));
      onDeath(words === "" ? reason : `${reason}: ${words}`);
    });
    await ready;
  }

  /** Ends it when it does not answer any more, which is a death like any other. */
  #watch(): void {
    const { pid } = this;
    if (pid === undefined) return;
    this.#heartbeat = new ProcessHeartbeat(
      pid,
      () => this.send({ op: "ping" }),
      (why) => {
        this.#givenUp = why;
        this.#child.kill("SIGKILL");
      },
    );
  }
}

function isPong(word: { is: string }): word is Pong {
  return word.is === "pong";
}
