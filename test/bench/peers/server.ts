/** Starts a server of `servers.ts`, knows when it first answered, and ends it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { descendantsOf } from "../measure/processes.ts";
import type { Peers } from "./peers.ts";
import type { ServerKind } from "./servers.ts";

const APPS = join(import.meta.dirname, "../apps");
const OWN_PACKAGES = resolve(import.meta.dirname, "../../../node_modules");
/** How often a server that does not listen yet is tried again, and for how long. */
const RETRY_MS = 1;
const PATIENCE_MS = 60_000;
/** How long one may take to end before it is killed. */
const LEAVE_MS = 3_000;

/** A server that answers. */
export interface RunningServer {
  /** With a slash at its end. */
  url: string;
  /** From its spawn to the first byte of its first answer with 200. */
  firstAnswerMs: number;
  /** It and its descendants, as they are now. */
  pids(): number[];
  stop(): Promise<void>;
}

/** The directory of a server: its code, its packages. */
export class ServerHome {
  readonly directory: string;
  readonly #kind: ServerKind;

  private constructor(kind: ServerKind, directory: string) {
    this.#kind = kind;
    this.directory = directory;
  }

  /** @throws Error that says why the peer cannot be had */
  static async open(kind: ServerKind, peers: Peers): Promise<ServerHome> {
    const packages = kind.peer === null ? OWN_PACKAGES : join(await peers.find(kind.peer), "node_modules");
    const directory = mkdtempSync(join(tmpdir(), "sp-server-"));
    cpSync(APPS, directory, { recursive: true });
    symlinkSync(packages, join(directory, "node_modules"));
    return new ServerHome(kind, directory);
  }

  get name(): string {
    return this.#kind.name;
  }

  /**
   * Starts it; resolves when it has answered. @throws Error with its last words when it never does
   */
  async start(): Promise<RunningServer> {
    const port = await freePort();
    for (const [name, text] of Object.entries(this.#kind.files?.(port) ?? {})) {
      writeFileSync(join(this.directory, name), text);
    }
    const [program = "", ...args] = this.#kind.argv(port);
    const startMs = performance.now();
    const child = spawn(program, args, {
      cwd: this.directory,
      env: { HOME: this.directory, ...this.#kind.environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    try {
      const answeredMs = await firstAnswer(port, child);
      return {
        url: `http://127.0.0.1:${port}/`,
        firstAnswerMs: answeredMs - startMs,
        pids: () => [child.pid as number, ...descendantsOf(child.pid as number)],
        stop: () => stop(child),
      };
    } catch (error) {
      await stop(child);
      throw error;
    }
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** @returns when the first byte of it came, by `performance.now()` */
async function firstAnswer(port: number, child: ChildProcess): Promise<number> {
  let words = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (text: Buffer) => {
      words = (words + text).slice(-500);
    });
  }
  const deadlineMs = performance.now() + PATIENCE_MS;
  let failure: Error | null = null;
  child.once("error", (error) => {
    failure = error;
  });
  for (;;) {
    const status = await ask(port);
    if (status === 200) return performance.now();
    const ended = child.exitCode ?? child.signalCode;
    if (failure !== null) throw failure;
    if (ended !== null) throw new Error(`it ended with ${ended}: ${words.trim()}`);
    if (performance.now() > deadlineMs) throw new Error(`it never answered with 200: ${words.trim()}`);
    await delay(RETRY_MS);
  }
}

/** The status of `/`, or null when nobody listens. */
function ask(port: number): Promise<number | null> {
  const { promise, resolve } = Promise.withResolvers<number | null>();
  const socket = connect(port, "127.0.0.1");
  socket.once("connect", () => {
    socket.write(`GET / HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: close\r\n\r\n`);
  });
  socket.once("data", (head: Buffer) => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(head.toString("latin1"))?.[1] ?? 0)));
  socket.once("close", () => resolve(null));
  socket.on("error", () => {});
  return promise.finally(() => socket.destroy());
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const descendants = descendantsOf(child.pid);
  const gone = once(child, "exit");
  child.kill();
  const timer = setTimeout(() => child.kill("SIGKILL"), LEAVE_MS);
  await gone;
  clearTimeout(timer);
  for (const pid of descendants) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended with its parent.
    }
  }
}
