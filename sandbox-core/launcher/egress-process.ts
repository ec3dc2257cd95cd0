/** One relay of egress as its holder sees it: a child process, messages and descriptors. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { SandboxError } from "../contract/error.ts";
import { LineReader } from "../protocol/control.ts";
import {
  RELAY_CONTROL_FD,
  RELAY_MESSAGE_BYTES,
  type RelayOptions,
  type RelayRequest,
  type RelayResponse,
} from "../protocol/egress.ts";
import { sys } from "../syscall/libc.ts";
import { compileCacheFlags } from "./compile-cache.ts";

const LAST_WORDS_BYTES = 4_096;
/** Bounds its own memory; buffers of sockets are bounded by the number of connections. */
const NODE_FLAGS = ["--max-old-space-size=256", "--max-semi-space-size=8", "--no-warnings"];

export interface EgressProcessEvents {
  onResponse: (response: Exclude<RelayResponse, { is: "ready" }>) => void;
  /** Called once, after the process is gone. */
  onDeath: (reason: string) => void;
}

export class EgressProcess {
  readonly #child: ChildProcess;
  readonly #control: Socket;
  readonly #descriptors: number;
  readonly #gone: Promise<unknown>;
  #isDead = false;
  #lastWords = "";

  private constructor(child: ChildProcess, descriptors: number) {
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
  static async start(options: RelayOptions, events: EgressProcessEvents): Promise<EgressProcess> {
    const start = fileURLToPath(import.meta.resolve("../egress/start.ts"));
    const [ours, theirs] = sys.socketpair();
    const argv = [...compileCacheFlags(), ...NODE_FLAGS, start, JSON.stringify(options)];
    const child = spawn(process.execPath, argv, {
      env: {},
      cwd: "/",
      detached: true,
      stdio: ["ignore", "ignore", "pipe", "pipe", theirs],
    });
    sys.close(theirs);
    const relay = new EgressProcess(child, ours);
    await relay.#begin(events);
    return relay;
  }

  send(request: RelayRequest): void {
    if (!this.#isDead && this.#control.writable) this.#control.write(`${JSON.stringify(request)}\n`);
  }

  /**
   * Sends sockets of a sandbox, before the request that tells of them.
   * @throws SyscallError, EAGAIN when so many wait there that it must be given up
   */
  sendSockets(sandbox: number, fds: readonly number[]): void {
    const number = Buffer.alloc(RELAY_MESSAGE_BYTES);
    number.writeBigUInt64LE(BigInt(sandbox));
    if (!this.#isDead) sys.sendDescriptors(this.#descriptors, number, fds);
  }

  /** Ends it by force; resolves when it is gone. */
  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#gone;
  }

  async #begin({ onResponse, onDeath }: EgressProcessEvents): Promise<void> {
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    const reader = new LineReader<RelayResponse>();
    this.#control.on("data", (chunk: Buffer) => {
      for (const response of reader.push(chunk)) {
        if (response.is === "ready") resolve();
        else onResponse(response);
      }
    });
    // The exit says what happened.
    this.#control.on("error", () => undefined);
    this.#child.on("error", (cause) =>
      reject(new SandboxError(`the relay of egress cannot be started: ${cause.message}`, { cause })),
    );
    this.#child.on("close", (code, signal) => {
      this.#isDead = true;
      sys.close(this.#descriptors);
      const reason = `the relay of egress died (${signal ?? `exit code ${code}`})`;
      const words = this.#lastWords.trim();
      reject(new SandboxError(words === "" ? reason : `${reason}: ${words}`));
      onDeath(words === "" ? reason : `${reason}: ${words}`);
    });
    await ready;
  }
}
