/** A launcher over a zygote that is restarted when it dies. */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { detectCgroups } from "../cgroup/detect.ts";
import { removeTree } from "../cgroup/sweep.ts";
import { SandboxError } from "../error.ts";
import type { Launcher, Sandbox, SandboxExit, SandboxLimits } from "../index.ts";
import type { Connection, Program, Response } from "./control.ts";
import { makeRunDirectory, removeRunDirectory } from "./directory.ts";
import { ZygoteProcess } from "./process.ts";
import { Receiver } from "./receiver.ts";
import { LaunchedSandbox } from "./sandbox.ts";

const LONGEST_RESTART_DELAY_MS = 2_000;
/** How long the connections of a sandbox that ended already may take to be accepted. */
const LAST_ACCEPT_MS = 1_000;
const NO_USAGE = { cpuMs: 0, peakMemoryBytes: 0, oomKills: 0 };

/** The wire, and one socket for what is written straight to descriptors 1 and 2. */
const RUNTIME_CONNECTIONS: Connection[] = [
  { name: "wire", fds: [3] },
  { name: "stdio", fds: [1, 2] },
];

export interface ZygoteLauncherOptions {
  nodeFlags: readonly string[];
  uidBase: number;
  uidCount: number;
  /** Starts this in each sandbox instead of the runtime that the zygote holds. */
  runtime?: Program;
}

/** A launch on its way: asked of the zygote, not yet a sandbox. */
interface Pending {
  token: string;
  sockets: Promise<Map<string, Socket>>;
  resolve: (sandbox: LaunchedSandbox) => void;
  reject: (error: SandboxError) => void;
  /** The exit, when it came before the connections did. */
  exit?: SandboxExit;
}

export class ZygoteLauncher implements Launcher {
  readonly kind: "fork" | "exec";
  readonly #options: ZygoteLauncherOptions;
  readonly #directory: string;
  readonly #receiver: Receiver;
  readonly #cgroups = detectCgroups();
  readonly #pending = new Map<string, Pending>();
  readonly #sandboxes = new Map<string, LaunchedSandbox>();
  #zygote: Promise<ZygoteProcess>;
  #onSelftest: ((ok: boolean) => void) | undefined;
  #closed = false;

  private constructor(options: ZygoteLauncherOptions, directory: string, receiver: Receiver) {
    this.kind = options.runtime ? "exec" : "fork";
    this.#options = options;
    this.#directory = directory;
    this.#receiver = receiver;
    this.#zygote = this.#startZygote();
  }

  /** A launcher whose zygote is warm. @throws SandboxError that says what this machine lacks */
  static async open(options: ZygoteLauncherOptions): Promise<ZygoteLauncher> {
    const directory = await makeRunDirectory();
    const receiver = await Receiver.listen(join(directory, "worker.sock"));
    const launcher = new ZygoteLauncher(options, directory, receiver);
    try {
      await launcher.#zygote;
    } catch (error) {
      await launcher.close();
      throw error;
    }
    return launcher;
  }

  /** Pid of the zygote as it is now. */
  async zygotePid(): Promise<number> {
    return (await this.#zygote).pid;
  }

  launch(limits: SandboxLimits): Promise<Sandbox> {
    return this.start(limits, RUNTIME_CONNECTIONS, this.#options.runtime);
  }

  /**
   * A new sandbox with these connections, running `program`, or else the runtime that the zygote holds.
   * @throws SandboxError as `launch` does
   */
  async start(limits: SandboxLimits, connections: Connection[], program?: Program): Promise<LaunchedSandbox> {
    const zygote = await this.#living();
    const id = randomBytes(8).toString("hex");
    const token = randomBytes(16).toString("hex");
    const names = connections.map(({ name }) => name);
    const { promise, resolve, reject } = Promise.withResolvers<LaunchedSandbox>();
    this.#pending.set(id, { token, sockets: this.#receiver.expect(token, names), resolve, reject });
    zygote.send({ op: "launch", id, token, limits, connections, ...(program ? { program } : {}) });
    return promise;
  }

  /** Whether JavaScript lives on in a fork of this zygote. */
  async selftest(): Promise<boolean> {
    const zygote = await this.#living();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#onSelftest = resolve;
    zygote.send({ op: "selftest" });
    return promise;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const zygote = await this.#zygote.catch(() => undefined);
    await zygote?.stop();
    await Promise.all([...this.#sandboxes.values()].map(({ exited }) => exited));
    this.#receiver.close();
    await removeRunDirectory(this.#directory);
  }

  async #living(): Promise<ZygoteProcess> {
    if (this.#closed) throw new SandboxError("the launcher is closed");
    return this.#zygote;
  }

  async #startZygote(): Promise<ZygoteProcess> {
    const { nodeFlags, uidBase, uidCount } = this.#options;
    let started: ZygoteProcess | undefined;
    started = await ZygoteProcess.start(
      nodeFlags,
      { uidBase, uidCount, directory: this.#directory, socketPath: join(this.#directory, "worker.sock") },
      {
        onResponse: (response) => this.#hear(response),
        onDeath: (reason) => {
          if (started) this.#zygote = this.#recover(started, reason);
        },
      },
    );
    return started;
  }

  /** After a zygote's death: ends what was its own, and starts the next. New launches wait for this. */
  #recover(dead: ZygoteProcess, reason: string): Promise<ZygoteProcess> {
    for (const { token, reject } of this.#pending.values()) {
      this.#receiver.forget(token);
      reject(new SandboxError(reason));
    }
    this.#pending.clear();
    this.#onSelftest?.(false);
    const orphans = [...this.#sandboxes.values()];
    this.#sandboxes.clear();
    const next = this.#succeed(dead, orphans, reason);
    // Whoever launches next sees the failure; with nobody there it is no unhandled rejection.
    next.catch(() => undefined);
    return next;
  }

  async #succeed(dead: ZygoteProcess, orphans: LaunchedSandbox[], reason: string): Promise<ZygoteProcess> {
    const usages = orphans.map((sandbox) => ({ sandbox, usage: sandbox.usage() }));
    await removeTree(this.#cgroups, dead.group);
    for (const { sandbox, usage } of usages) sandbox.end({ code: null, signal: null, usage, reason });
    for (let wait = 50; !this.#closed; wait = Math.min(wait * 2, LONGEST_RESTART_DELAY_MS)) {
      try {
        return await this.#startZygote();
      } catch {
        await delay(wait);
      }
    }
    throw new SandboxError("the launcher is closed");
  }

  #hear(response: Response): void {
    if (response.is === "launched") void this.#complete(response);
    else if (response.is === "refused") this.#refuse(response.id, response.message);
    else if (response.is === "exited") this.#end(response.id, { ...response });
    else if (response.is === "selftested") this.#onSelftest?.(response.ok);
  }

  async #complete({ id, pid, hostUid }: Extract<Response, { is: "launched" }>): Promise<void> {
    const pending = this.#pending.get(id);
    if (!pending) return;
    const sockets = await pending.sockets;
    if (!this.#pending.delete(id)) return;
    const meter = this.#meterFor((await this.#zygote).group, id);
    const kill = () => void this.#zygote.then((zygote) => zygote.send({ op: "kill", id }));
    const sandbox = new LaunchedSandbox({ id, pid, hostUid, sockets, meter, kill });
    if (pending.exit) sandbox.end(pending.exit);
    else this.#sandboxes.set(id, sandbox);
    pending.resolve(sandbox);
  }

  /** A sandbox that died before its figures could be opened has none. */
  #meterFor(group: string, id: string) {
    try {
      return this.#cgroups.openMeter(`${group}/${id}`);
    } catch {
      return { read: () => NO_USAGE, close: () => undefined };
    }
  }

  #refuse(id: string, message: string): void {
    const pending = this.#pending.get(id);
    if (!pending) {
      // Its connections were made before it failed.
      this.#end(id, { code: 1, signal: null, usage: NO_USAGE, reason: message });
      return;
    }
    this.#pending.delete(id);
    this.#receiver.forget(pending.token);
    pending.reject(new SandboxError(`a sandbox could not be made: ${message}`));
  }

  #giveUp(id: string): void {
    if (this.#pending.has(id)) this.#refuse(id, "it died before it began");
  }

  #end(id: string, { code, signal, usage, reason }: SandboxExit): void {
    const exit = { code, signal, usage, ...(reason === undefined ? {} : { reason }) };
    const pending = this.#pending.get(id);
    if (pending) {
      pending.exit = exit;
      // Its connections were made before it was locked in: they are in the socket's queue by now, or never come.
      setTimeout(() => this.#giveUp(id), LAST_ACCEPT_MS).unref();
    }
    this.#sandboxes.get(id)?.end(exit);
    this.#sandboxes.delete(id);
  }
}
