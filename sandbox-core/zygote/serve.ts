/**
 * The zygote's work: waits for requests and for deaths, in blocking calls, until the worker hangs up.
 *
 * Each sandbox is watched through a pidfd. What a fork has to say before it is locked in goes through one pipe that all
 * forks share: a line of less than PIPE_BUF bytes is written whole (pipe(7)).
 */
import { join } from "node:path";
import { SIGKILL } from "../abi/linux.ts";
import { removeRootGroup } from "../cgroup/sweep.ts";
import type { SandboxLimits } from "../contract/sandbox.ts";
import { type Inherited, launchSandbox, type Role } from "../fork/launch.ts";
import type { Launch, WaitingFork } from "../fork/order.ts";
import { neverStarted } from "../fork/report.ts";
import { findSignalPipe } from "../fork/signal-pipe.ts";
import {
  CONTROL_FD,
  endOf,
  LineReader,
  type ProgramEnd,
  type Request,
  type Response,
  type Status,
} from "../protocol/control.ts";
import { SyscallError } from "../syscall/error.ts";
import { exitNow, sys } from "../syscall/libc.ts";
import { openPidfd } from "../syscall/pidfd.ts";
import { signalProgram } from "../syscall/signal-program.ts";
import { canRefuseDescriptors, isReadable, makePipe } from "../syscall/steps.ts";
import { writeLine } from "../syscall/write-line.ts";
import { Forks } from "./forks.ts";
import { Poller } from "./poller.ts";
import { Reaper } from "./reaper.ts";
import { provesFork } from "./selftest.ts";
import type { ZygoteState } from "./state.ts";
import { TerminalPair } from "./terminal.ts";
import { isInHostNetwork, startsProgram, suits, tell } from "./waiting-fork.ts";

/** Longer than anything that is done between two waits; a self-test may take five seconds. */
const LONGEST_TURN_S = 10;
const READ_BYTES = 65_536;

interface Child {
  id: string;
  /** Its number among the forks of this zygote. */
  number: number;
  pid: number;
  pidfd: number;
  hostId: number;
  group: string;
  /** Whether a program is to be started, of which the worker hears when it is there. */
  isProgram: boolean;
  /** The pid of its program inside, once that has been started. */
  program?: number;
  /** What stopped it before it was locked in, or the program before it was started. */
  refusal?: { message: string; start?: string };
  /** How its program ended, which its first process tells before it ends as well. */
  end?: ProgramEnd;
}

/** Serves until the worker hangs up, and never returns then; returns in each fork, locked in. */
export function serve(state: ZygoteState): Role {
  return new Server(state).run();
}

class Server {
  readonly #state: ZygoteState;
  readonly #poller = new Poller();
  readonly #reaper: Reaper;
  readonly #forks: Forks;
  readonly #requests = new LineReader<Request>();
  readonly #statuses = new LineReader<Status>();
  readonly #buffer = Buffer.alloc(READ_BYTES);
  readonly #byPidfd = new Map<number, Child>();
  readonly #byId = new Map<string, Child>();
  readonly #byNumber = new Map<number, Child>();
  /** Terminals that their worker has not taken yet. */
  readonly #terminals = new Map<string, TerminalPair>();
  readonly #statusRead: number;
  readonly #inherited: Inherited;
  #launches = 0;
  /** The limits of the next fork, if it is to be made as soon as there is nothing else to do. */
  #forkAhead: SandboxLimits | undefined;

  constructor(state: ZygoteState) {
    this.#state = state;
    this.#reaper = new Reaper(state.cgroups, state.ids, (response) => this.#say(response));
    this.#forks = new Forks(state, this.#poller, this.#reaper);
    // Found before there is a pipe of our own.
    const signalPipe = findSignalPipe();
    const { read, write } = makePipe();
    this.#statusRead = read;
    const [zygotePidfd, workerPidfd] = [openPidfd(process.pid), openPidfd(process.ppid)];
    this.#inherited = { state, signalPipe, statusPipe: write, zygotePidfd, workerPidfd };
    this.#poller.add(CONTROL_FD);
    this.#poller.add(this.#statusRead);
  }

  run(): Role {
    const { group, filterSha256, landlockAbi } = this.#state;
    const facts = { filterSha256, landlockAbi, refusesDescriptors: canRefuseDescriptors() };
    this.#say({ is: "ready", group, facts });
    for (;;) {
      const ready = this.#poller.wait(this.#forkAhead ? 0 : this.#reaper.waitMs);
      // If this hangs the kernel ends it (alarm(2)), even when there is no worker any more; forks inherit no alarm.
      sys.alarm(LONGEST_TURN_S);
      const ahead = ready.length === 0 ? this.#forkAhead : undefined;
      const role = ahead ? this.#makeWaiting(ahead) : this.#attendAll(ready);
      if (role) return role;
      this.#reaper.clear();
      sys.alarm(0);
    }
  }

  /** Requests last: what they make has descriptors by numbers that may have been those of the dead. */
  #attendAll(ready: readonly number[]): Role | undefined {
    for (const fd of ready)
      if (fd === this.#statusRead) this.#readStatuses();
      else if (fd !== CONTROL_FD) this.#bury(fd);
    return ready.includes(CONTROL_FD) ? this.#readRequests() : undefined;
  }

  #readRequests(): Role | undefined {
    const count = sys.read(CONTROL_FD, this.#buffer, READ_BYTES);
    if (count === 0) this.#leave();
    for (const request of this.#requests.push(this.#buffer.subarray(0, count))) {
      const role = this.#answer(request);
      if (role) return role;
    }
    return undefined;
  }

  #answer(request: Request): Role | undefined {
    if (request.op === "launch") return this.#launch(request);
    if (request.op === "selftest") this.#say({ is: "selftested", ok: provesFork() });
    else if (request.op === "ping") this.#say({ is: "there" });
    else this.#attendChild(request);
    return undefined;
  }

  /** Makes the fork of the next launch, if that can be done now: else that launch makes its own, and hears why not. */
  #makeWaiting(limits: SandboxLimits): Role | undefined {
    this.#forkAhead = undefined;
    let waiting: WaitingFork;
    try {
      waiting = this.#forks.make(limits, false);
    } catch {
      return undefined;
    }
    return waiting.pid === 0 ? launchSandbox(waiting, this.#inherited) : undefined;
  }

  /** Returns in the fork alone. */
  #launch(launch: Launch): Role | undefined {
    let waiting: WaitingFork;
    try {
      this.#prepare(launch);
      const ahead = this.#forks.waiting;
      if (ahead && suits(ahead.place, launch) && this.#handOver(ahead, launch, true)) return undefined;
      this.#forks.drop();
      waiting = this.#forks.make(launch.limits, isInHostNetwork(launch));
    } catch (error) {
      this.#refuse(launch, error as Error);
      return undefined;
    }
    // A fork must never come upon what is done about an error of its parent's.
    if (waiting.pid === 0) return launchSandbox(waiting, this.#inherited);
    try {
      this.#handOver(waiting, launch, false);
    } catch (error) {
      this.#forks.drop();
      this.#refuse(launch, error as Error);
    }
    return undefined;
  }

  /** @throws Error when this zygote cannot make what is wanted */
  #prepare({ program }: Launch): void {
    if (!program && !this.#state.hasRuntime) throw new Error("this zygote starts programs alone");
    if (program?.root === "usr" || typeof program?.root === "object") this.#state.needUsrRoot();
  }

  /**
   * Has the waiting fork become what is wanted; false when it is dead, and `mayBeDead`.
   * @throws Error when it cannot, and then it is the waiting one still
   */
  #handOver(waiting: WaitingFork, launch: Launch, mayBeDead: boolean): boolean {
    const { number, pid, pidfd, place } = waiting;
    const { hostId, group } = place;
    const terminal = this.#openTerminal(launch, hostId);
    try {
      tell(waiting, { launch, usrRoot: this.#state.usrRoot, terminalMount: terminal?.mount });
    } catch (error) {
      const isDead = error instanceof SyscallError && error.code === "EPIPE";
      if (mayBeDead || !isDead) {
        terminal?.discard();
        if (isDead) return false;
        throw error;
      }
      // It has said why, which is heard at its burial.
      sys.close(waiting.orders);
    }
    this.#forks.spend();
    if (terminal !== undefined) this.#terminals.set(launch.id, terminal);
    const child: Child = { id: launch.id, number, pid, pidfd, hostId, group, isProgram: startsProgram(launch) };
    this.#byPidfd.set(pidfd, child);
    this.#byId.set(child.id, child);
    this.#byNumber.set(number, child);
    if (!child.isProgram) this.#say({ is: "launched", id: child.id, pid, hostUid: hostId });
    // Nobody knows of a first launch whether there will be another.
    this.#launches += 1;
    if (this.#state.forksAhead && this.#launches > 1) this.#forkAhead = launch.limits;
    return true;
  }

  #openTerminal({ id, program }: Launch, hostId: number): TerminalPair | undefined {
    const size = program?.terminal;
    return size && new TerminalPair(join(this.#state.directory, `terminal-${id}`), hostId, size);
  }

  #refuse({ id }: Launch, { message }: Error): void {
    this.#say({ is: "refused", id, message });
  }

  #attendChild(request: Extract<Request, { op: "kill" | "signal" | "took_terminal" }>): void {
    if (request.op === "took_terminal") return void this.#dropTerminal(request.id);
    const child = this.#byId.get(request.id);
    if (!child) return;
    // It is this process's child and not waited for yet, so the pid is its own still.
    if (request.op === "kill") this.#end(child);
    else if (child.program !== undefined)
      signalProgram(
        this.#state.cgroups.members(child.group),
        { init: child.pid, program: child.program },
        request.signal,
      );
  }

  #end(child: Child): void {
    sys.kill(child.pid, SIGKILL);
    this.#state.cgroups.releaseKilled(child.group);
  }

  /** The worker has its own descriptor by now, or wants none. */
  #dropTerminal(id: string): void {
    this.#terminals.get(id)?.discard();
    this.#terminals.delete(id);
  }

  #readStatuses(): void {
    // A burial may have read what the poller told of.
    if (!isReadable(this.#statusRead, 0)) return;
    const count = sys.read(this.#statusRead, this.#buffer, READ_BYTES);
    for (const status of this.#statuses.push(this.#buffer.subarray(0, count))) {
      const child = this.#byNumber.get(status.fork);
      if (child) this.#note(child, status);
    }
  }

  #note(child: Child, status: Status): void {
    const { id, pid, hostId } = child;
    if (status.is === "ended") child.end = status.end;
    else if (status.is === "failed") {
      const { message, start } = status;
      child.refusal = start === undefined ? { message } : { message, start };
    } else {
      this.#terminals.get(id)?.unmount();
      const terminal = this.#terminals.get(id)?.master;
      child.program = status.program;
      const { program } = status;
      this.#say({ is: "launched", id, pid, hostUid: hostId, program, ...(terminal === undefined ? {} : { terminal }) });
    }
  }

  /** The first process of the sandbox ended, and with it all others: the kernel ends a pid namespace with its init. */
  #bury(pidfd: number): void {
    if (pidfd === this.#forks.waiting?.pidfd) this.#forks.drop();
    const child = this.#byPidfd.get(pidfd);
    if (!child) return;
    // What it said before it ended is there by now.
    this.#readStatuses();
    const end = this.#reap(child);
    const { id, group, hostId, isProgram, program } = child;
    const usage = this.#state.cgroups.usage(group);
    const refusal = child.refusal ?? (isProgram && program === undefined ? neverStarted(end, usage) : undefined);
    if (program === undefined) this.#dropTerminal(id);
    const response: Response = refusal
      ? { is: "refused", id, ...refusal }
      : { is: "exited", id, ...(child.end ?? end), usage };
    this.#reaper.add({ group, hostId, response });
  }

  #reap(child: Child): ProgramEnd {
    const word = Buffer.alloc(4);
    sys.waitpid(child.pid, word, 0);
    this.#poller.remove(child.pidfd);
    sys.close(child.pidfd);
    this.#byPidfd.delete(child.pidfd);
    this.#byId.delete(child.id);
    this.#byNumber.delete(child.number);
    return endOf(word.readInt32LE(0));
  }

  /** The worker hung up or died: nobody is left to serve, so nothing of ours stays. */
  #leave(): never {
    this.#forks.drop();
    for (const child of this.#byId.values()) this.#end(child);
    for (const pidfd of [...this.#byPidfd.keys()]) this.#bury(pidfd);
    this.#reaper.addBelow(this.#state.group);
    this.#reaper.clearAll();
    this.#state.cgroups.remove(this.#state.group);
    removeRootGroup(this.#state.cgroups);
    return exitNow(0);
  }

  #say(response: Response): void {
    try {
      writeLine(CONTROL_FD, response);
    } catch (error) {
      // The worker is gone: the next read of the control socket says so and ends the zygote.
      if (!(error instanceof SyscallError && ["EPIPE", "ECONNRESET"].includes(error.code))) throw error;
    }
  }
}
