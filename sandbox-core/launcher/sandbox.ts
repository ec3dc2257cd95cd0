/**
 * A launched sandbox as its holder sees it: the contract of contract/sandbox.ts over a zygote's
 * messages.
 */

import { closeSync } from "node:fs";
import type { Socket } from "node:net";
import type { Meter } from "../cgroup/driver.ts";
import type { EgressSockets } from "../contract/egress.ts";
import { EgressSocketsError, SandboxError } from "../contract/error.ts";
import type {
  ForkableSandbox,
  SandboxExit,
  SandboxForkSockets,
  SandboxLimits,
  SandboxReading,
  SandboxStats,
  SandboxUsage,
} from "../contract/sandbox.ts";
import { collectDescriptors, isHungUp } from "../syscall/steps.ts";
import { closeAll, type TakenSockets } from "./descriptors.ts";
import type { LaunchedEgress } from "./egress-hand-over.ts";
import { ForkSlot } from "./fork-slot.ts";
import { sendForkSockets } from "./fork-sockets.ts";
import { descriptorOf } from "./handle.ts";
import type { SandboxGroup } from "./sandbox-cgroup.ts";
import { ScratchCleaner } from "./scratch-cleaner.ts";

const LAST_READING_MS = 10_000;

export interface SandboxParts {
  id: string;
  pid: number;
  hostUid: number;
  sockets: Map<string, Socket>;
  group: SandboxGroup;
  limits: SandboxLimits;
  /** The pid of its program inside. */
  program?: number;
  zygotePid: number;
  /** Whether its locks of files are real: it has the filter of commands. */
  hasLocks: boolean;
  /** The zygote's descriptor of the other side of its terminal. */
  terminal?: number;
  /** The sockets that it was launched with. */
  egress?: LaunchedEgress;
  /** Asks something of the zygote about it. */
  send: (request: Order) => void;
}

type Order =
  | { op: "kill" }
  | { op: "signal"; signal: number }
  | { op: "took_terminal" }
  | { op: "mount_files"; source: string }
  | { op: "open_egress"; sockets: EgressSockets };

export class LaunchedSandbox implements ForkableSandbox {
  readonly id: string;
  readonly pid: number;
  readonly hostUid: number;
  /** The pid of its program as the sandbox knows it; undefined when it runs none. */
  readonly program: number | undefined;
  readonly hasLocks: boolean;
  readonly exited: Promise<SandboxExit>;
  readonly #sockets: Map<string, Socket>;
  readonly #meter: Meter;
  readonly #group: SandboxGroup;
  readonly #send: (request: Order) => void;
  readonly #terminal: SandboxParts["terminal"];
  readonly #egress: SandboxParts["egress"];
  readonly #scratch: ScratchCleaner;
  readonly #limits: SandboxLimits;
  readonly #settle: (exit: SandboxExit) => void;
  /** The figures at its end. */
  #last: SandboxUsage | undefined;
  #reason: string | undefined;
  #overuse: string | undefined;
  #makeWayAtMs = Number.POSITIVE_INFINITY;
  readonly #zygotePid: number;
  /** Told what comes of the sockets that were asked for. */
  #opening: PromiseWithResolvers<number[]> | undefined;
  /** Told what comes of the mount that was asked for. */
  #mounting: PromiseWithResolvers<string | null> | undefined;

  constructor(parts: SandboxParts) {
    const { id, pid, hostUid, sockets, group, limits, program, hasLocks, zygotePid, terminal, send } = parts;
    this.id = id;
    this.pid = pid;
    this.hostUid = hostUid;
    this.#sockets = sockets;
    this.#group = group;
    this.#meter = group.meter();
    this.#limits = limits;
    this.#scratch = new ScratchCleaner({ pid, limits, members: () => group.members() });
    this.program = program;
    this.#zygotePid = zygotePid;
    this.hasLocks = hasLocks;
    this.#terminal = terminal;
    this.#egress = parts.egress;
    this.#send = send;
    const { promise, resolve } = Promise.withResolvers<SandboxExit>();
    this.exited = promise;
    this.#settle = resolve;
  }

  members(): number[] {
    return this.#last ? [] : this.#group.members();
  }

  /** Its control group, by the name that the driver takes. */
  get group(): string {
    return this.#group.path;
  }

  get wire(): Socket {
    return this.socket("wire");
  }

  get stdio(): Socket {
    return this.socket("stdio");
  }

  /**
   * The connection of that name, as it was asked for at the launch.
   * @throws Error when there is none
   */
  socket(name: string): Socket {
    const socket = this.#sockets.get(name);
    if (!socket) throw new Error(`sandbox ${this.id} has no connection named ${name}`);
    return socket;
  }

  get outdated(): boolean {
    return this.#makeWayAtMs !== Number.POSITIVE_INFINITY && performance.now() >= this.#makeWayAtMs;
  }

  /**
   * Sets the moment from which the sandbox is outdated, by `performance.now()`; an earlier one
   * stands.
   */
  makeWayAt(ms: number): void {
    this.#makeWayAtMs = Math.min(this.#makeWayAtMs, ms);
  }

  get isAtWork(): boolean {
    return !this.#last && this.#group.isAtWork;
  }

  usage(): SandboxReading {
    return this.#last ?? { ...this.#meter.read() };
  }

  oomKills(): number {
    return this.#last?.oomKills ?? this.#group.oomKills();
  }

  stats(): SandboxStats | null {
    return this.#last ? null : this.#group.stats();
  }

  async freeze(): Promise<void> {
    if (this.#last || this.#reason !== undefined) throw new SandboxError(`sandbox ${this.id} has ended`);
    await this.#group.freeze();
  }

  async thaw(): Promise<void> {
    if (!this.#last) this.#group.thaw();
  }

  setCpuWeight(weight: number): void {
    if (!this.#last) this.#group.setCpuWeight(weight);
  }

  setCpuIdle(isIdle: boolean): void {
    if (!this.#last) this.#group.setCpuIdle(isIdle);
  }

  openForkSlot(fork: number): ForkSlot {
    if (this.#last) throw new SandboxError(`sandbox ${this.id} has ended`);
    const name = String(fork);
    return new ForkSlot(this.#group.beside(name), this.#limits, {
      open: () => this.#scratch.openDirectory(name),
      // A directory goes with its sandbox.
      remove: async () => {
        if (!this.#last) await this.#scratch.removeDirectory(name);
      },
    });
  }

  sendForkSockets(bytes: Buffer, slot?: ForkSlot): SandboxForkSockets {
    const place = slot?.open() ?? [];
    try {
      return sendForkSockets(this.#sockets.get("wire") as Socket, bytes, place);
    } finally {
      for (const fd of place) closeSync(fd);
    }
  }

  async mountFiles(directory: string): Promise<void> {
    if (this.#last) throw new SandboxError(`sandbox ${this.id} has ended`);
    this.#mounting = Promise.withResolvers<string | null>();
    this.#send({ op: "mount_files", source: directory });
    const problem = await this.#mounting.promise;
    if (problem !== null) throw new SandboxError(`the files of its function could not be mounted: ${problem}`);
  }

  /** The zygote has mounted its files, or says what kept it from that. */
  mounted(problem: string | null): void {
    this.#mounting?.resolve(problem);
  }

  async openEgressSockets(sockets: EgressSockets): Promise<number[]> {
    if (this.#last) throw new SandboxError(`sandbox ${this.id} has ended`);
    const launched = this.#egress?.take(sockets);
    if (launched) return launched;
    const opening = Promise.withResolvers<number[]>();
    this.#opening = opening;
    this.#send({ op: "open_egress", sockets });
    return opening.promise;
  }

  /** Its sockets are made, or cannot be. */
  openedEgress({ fds, problem }: TakenSockets): void {
    const opening = this.#opening;
    this.#opening = undefined;
    if (problem === null && opening) return void opening.resolve(fds);
    closeAll(fds);
    opening?.reject(new EgressSocketsError(`the sockets of its egress could not be made: ${problem}`));
  }

  /** Whether it lives, as far as the kernel tells by its wire. */
  get isThere(): boolean {
    return !this.#last && !this.wire.destroyed && !isHungUp(descriptorOf(this.wire));
  }

  get isAlone(): boolean {
    const members = this.members();
    // A program has a first process of ours beside it.
    return members.length === (this.program === undefined ? 1 : 2) && members.includes(this.pid);
  }

  cleanScratch(): string | null {
    return this.#last ? "it has ended" : this.#scratch.run();
  }

  kill(reason: string): void {
    if (this.#last) return;
    this.#reason ??= reason;
    // The last figures, for whoever does not wait for its end.
    this.#meter.read();
    this.#meter.close();
    this.#send({ op: "kill" });
  }

  /** Ends it for what it took of the machine; see `SandboxExit.overuse`. */
  endFor(overuse: string): void {
    if (this.#reason === undefined) this.#overuse = overuse;
    this.kill(overuse);
  }

  /** Sends a signal to its program, and to nothing else in it. */
  signal(signal: number): void {
    if (!this.#last) this.#send({ op: "signal", signal });
  }

  /**
   * The other side of its terminal, which `take` gets out of the zygote as a descriptor of this
   * process's.
   * @throws Error when it has no terminal
   */
  takeTerminal(take: (zygotePid: number, fd: number) => number): number {
    if (this.#terminal === undefined) throw new Error(`sandbox ${this.id} has no terminal`);
    try {
      return take(this.#zygotePid, this.#terminal);
    } finally {
      this.#send({ op: "took_terminal" });
    }
  }

  /** Settles the end: called once everything of the sandbox is gone. */
  end(exit: SandboxExit): void {
    if (this.#last) return;
    this.#last = exit.usage;
    this.mounted("it has ended");
    this.openedEgress({ fds: [], problem: "it has ended" });
    this.#egress?.close();
    this.#meter.close();
    this.#scratch.close();
    // Else what it sent itself could keep its outputs from ending.
    if (this.program !== undefined) collectDescriptors();
    for (const socket of this.#sockets.values()) endAfterReading(socket);
    const why = {
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
      ...(this.#overuse === undefined ? {} : { overuse: this.#overuse }),
    };
    const settle = () => this.#settle({ ...exit, ...why });
    if (!this.#group.hasFrozen) settle();
    // Its groups are gone then, or cannot be removed: the next sweep tries again, and its end is
    // told all the same.
    else void this.#group.close().then(settle, settle);
  }
}

/**
 * Lets a dead sandbox's last bytes be read; then the socket ends by itself, as its peer is gone.
 * Bytes that nobody reads, such as the first word of a blank sandbox, are given up after a while.
 */
function endAfterReading(socket: Socket): void {
  if (socket.readableEnded || socket.destroyed) return void socket.destroy();
  const timer = setTimeout(() => socket.destroy(), LAST_READING_MS).unref();
  socket.once("end", () => socket.destroy());
  socket.once("close", () => clearTimeout(timer));
}
