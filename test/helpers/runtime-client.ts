/** The runtime as a real process, and the worker's end of its wire. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { RUNTIME_NODE_FLAGS } from "../../sandbox-core/runtime/flags.ts";
import { type LoadOptions, WireClient } from "./wire-client.ts";

const EXEC_MAIN = fileURLToPath(new URL("../../sandbox-core/runtime/exec-main.ts", import.meta.url));

export class RuntimeClient extends WireClient {
  readonly process: ChildProcess;
  readonly exited: Promise<{ code: number | null; signal: string | null }>;

  private constructor(env: Record<string, string>, flags: readonly string[]) {
    const child = spawn(process.execPath, [...RUNTIME_NODE_FLAGS, ...flags, EXEC_MAIN], {
      stdio: ["ignore", "ignore", "pipe", "pipe"],
      env,
    });
    const exited = once(child, "close").then(([code, signal]) => ({ code, signal }));
    super(child.stdio[3] as Duplex, exited);
    this.process = child;
    this.exited = exited;
    child.stderr?.on("data", (text) => {
      this.lastWords += text;
    });
  }

  /** A blank runtime that has said `ready`. */
  static async start(env: Record<string, string> = {}, flags: readonly string[] = []): Promise<RuntimeClient> {
    const client = new RuntimeClient(env, flags);
    await client.next("ready");
    return client;
  }

  /** A runtime with this code loaded. */
  static async with(code: string, options: LoadOptions = {}): Promise<RuntimeClient> {
    const client = await RuntimeClient.start();
    const loaded = await client.load(code, options);
    if (loaded.type === "load_failed") throw new Error(`${loaded.error.message}\n${loaded.error.stack}`);
    return client;
  }

  /** Ends the wire, as a worker does, and waits for the process. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.wire.destroy();
    this.process.kill("SIGKILL");
    await this.exited;
  }
}
