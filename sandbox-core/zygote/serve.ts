/**
 * The zygote's work: waits for requests and for deaths, in blocking calls, until the worker hangs up.
 *
 * Each sandbox is watched through a pidfd. What a fork has to say before it is locked in goes through one pipe that all
 * forks share: a line of less than PIPE_BUF bytes is written whole (pipe(7)).
 */
import { SIGKILL } from "../abi/linux.ts";
import { removeRootGroup } from "../cgroup/sweep.ts";
import { SyscallError } from "../syscall/error.ts";
import { exitNow, sys, unixAddress } from "../syscall/libc.ts";
import { isReadable, makePipe } from "../syscall/steps.ts";
import {
  CONTROL_FD,
  endOf,
  LineReader,
  type Program,
  type ProgramEnd,
  type Request,
  type Response,
  type Status,
} from "./control.ts";
import { enter } from "./enter.ts";
import { forkAsInit, openPidfd } from "./fork.ts";
import type { House } from "./house.ts";
import type { InitStatus } from "./init.ts";
import { signalProgram } from "./members.ts";
import { Poller } from "./poller.ts";
import { Provision } from "./provision.ts";
import { Remains } from "./remains.ts";
import { takeSecrets } from "./secrets.ts";
import { provesFork } from "./selftest.ts";
import { findSignalPipe } from "./signal-pipe.ts";
import { failureOf, neverStarted, reportTo } from "./status.ts";
import type { TerminalPair } from "./terminal.ts";

/** Longer than anything that is done between two waits; a self-test may take five seconds. */
const LONGEST_TURN_S = 10;
const READ_BYTES = 65_536;
/** A zygote that leaves waits for what is left up to two seconds; the next one removes it then. */
const MOST_LAST_ATTEMPTS = 65;

interface Child {
  id: string;
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

/** What a fork goes on as: the runtime that it holds already, or a program's init, which may still fail to start it. */
export type Born =
  | { is: "runtime" }
  | {
      is: "program";
      program: Program;
      statusPipe: number;
      report: (descriptor: number, status: InitStatus) => void;
      fail: (error: Error) => never;
    }
  /** An attestation's look from inside. The socket is one of the zygote's, which it must not reach. */
  | { is: "probe"; zygotesSocket: string };

type Launch = Extract<Request, { op: "launch" }>;

/** Serves until the worker hangs up, and never returns then; returns in each fork, locked in. */
export function serve(house: House): Born {
  return new Server(house).run();
}

class Server {
  readonly #house: House;
  readonly #poller = new Poller();
  readonly #remains: Remains;
  readonly #requests = new LineReader<Request>();
  readonly #statuses = new LineReader<Status>();
  readonly #buffer = Buffer.alloc(READ_BYTES);
  readonly #byPidfd = new Map<number, Child>();
  readonly #byId = new Map<string, Child>();
  /** Terminals that their worker has not taken yet. */
  readonly #terminals = new Map<string, TerminalPair>();
  readonly #ownPidfd = openPidfd(process.pid);
  readonly #workerPidfd = openPidfd(process.ppid);
  // Found before this class makes a pipe of its own.
  readonly #signalPipe = findSignalPipe();
  readonly #statusRead: number;
  readonly #statusWrite: number;

  constructor(house: House) {
    this.#house = house;
    this.#remains = new Remains(house.cgroups, house.ids, (response) => this.#say(response));
    const { read, write } = makePipe();
    this.#statusRead = read;
    this.#statusWrite = write;
    this.#poller.add(CONTROL_FD);
    this.#poller.add(this.#statusRead);
  }

  run(): Born {
    const { group, filterSha256, landlockAbi } = this.#house;
    this.#say({ is: "ready", group, facts: { filterSha256, landlockAbi } });
    for (;;) {
      const ready = this.#poller.wait(this.#remains.waitMs);
      // If this hangs the kernel ends it (alarm(2)), even when there is no worker any more; forks inherit no alarm.
      sys.alarm(LONGEST_TURN_S);
      for (const fd of ready) {
        const born = this.#attend(fd);
        if (born) return born;
      }
      this.#remains.clear();
      sys.alarm(0);
    }
  }

  #attend(fd: number): Born | undefined {
    if (fd === CONTROL_FD) return this.#readRequests();
    if (fd === this.#statusRead) this.#readStatuses();
    else this.#bury(fd);
    return undefined;
  }

  #readRequests(): Born | undefined {
    const count = sys.read(CONTROL_FD, this.#buffer, READ_BYTES);
    if (count === 0) this.#leave();
    for (const request of this.#requests.push(this.#buffer.subarray(0, count))) {
      const born = this.#answer(request);
      if (born) return born;
    }
    return undefined;
  }

  #answer(request: Request): Born | undefined {
    if (request.op === "launch") return this.#launch(request);
    if (request.op === "selftest") this.#say({ is: "selftested", ok: provesFork() });
    else if (request.op === "ping") this.#say({ is: "there" });
    else this.#attendChild(request);
    return undefined;
  }

  /** Returns in the fork alone. */
  #launch(request: Launch): Born | undefined {
    const group = `${this.#house.group}/${request.id}`;
    let hostId: number | undefined;
    let provision: Provision | undefined;
    let pid: number;
    try {
      if (!request.program && !this.#house.hasRuntime) throw new Error("this zygote starts programs alone");
      if (request.program?.root && request.program.root !== "bare") this.#house.needUsrRoot();
      hostId = this.#house.ids.take();
      this.#house.cgroups.create(group, request.limits);
      provision = new Provision(request, { hostId, directory: this.#house.directory, workerPidfd: this.#workerPidfd });
      pid = forkAsInit();
      if (pid !== 0) {
        const { terminal } = provision;
        provision.closePipes();
        this.#watch({ id: request.id, pid, hostId, group, isProgram: startsProgram(request) });
        if (terminal !== undefined) this.#terminals.set(request.id, terminal);
      }
    } catch (error) {
      provision?.discard();
      const response: Response = { is: "refused", id: request.id, message: (error as Error).message };
      this.#remains.add({ group, hostId, response });
      return undefined;
    }
    // A fork must never come upon what is done about an error of its parent's.
    if (pid === 0) return this.#becomeSandbox(request, hostId, group, provision);
    if (!startsProgram(request)) this.#say({ is: "launched", id: request.id, pid, hostUid: hostId });
    return undefined;
  }

  #becomeSandbox(request: Launch, hostId: number, group: string, { pipes, terminal }: Provision): Born {
    const { token, connections, limits } = request;
    const house = this.#house;
    try {
      const program = request.program && takeSecrets(house.directory, request.id, request.program);
      enter({
        hostId,
        limits,
        token,
        connections,
        cgroupFiles: house.cgroups.joinFiles(group, limits),
        workerAddress: unixAddress(house.socketPath),
        directory: house.directory,
        programRoot: house.programRoot,
        landlockAbi: house.landlockAbi,
        usrRoot: house.usrRoot,
        terminalMount: terminal?.mount,
        pipes,
        filter: house.filters[program ? (program.policy ?? "program") : "fork"],
        signalPipe: this.#signalPipe,
        statusPipe: this.#statusWrite,
        zygotePidfd: this.#ownPidfd,
        ...(program ? { program } : {}),
      });
      if (request.probe) return { is: "probe", zygotesSocket: house.ids.socketName };
      if (!program) return { is: "runtime" };
      const report = (fd: number, status: InitStatus) => reportTo(fd, { id: request.id, ...status });
      const fail = (error: Error) => this.#fail(request.id, error);
      return { is: "program", program, statusPipe: this.#statusWrite, report, fail };
    } catch (error) {
      return this.#fail(request.id, error as Error);
    }
  }

  /** Ends a fork that could not become what it should, and says why. */
  #fail(id: string, error: Error): never {
    try {
      reportTo(this.#statusWrite, failureOf(id, error));
    } finally {
      // Whatever happens: what would go on here is a second zygote.
      exitNow(1);
    }
  }

  /** Watches over a fork from now on. @throws SyscallError when that cannot be done, and then the fork is gone. */
  #watch(fork: Omit<Child, "pidfd">): void {
    const { id, pid } = fork;
    let pidfd: number | undefined;
    try {
      pidfd = openPidfd(pid);
      this.#poller.add(pidfd);
    } catch (error) {
      sys.kill(pid, SIGKILL);
      sys.waitpid(pid, Buffer.alloc(4), 0);
      if (pidfd !== undefined) sys.close(pidfd);
      throw error;
    }
    const child: Child = { ...fork, pidfd };
    this.#byPidfd.set(pidfd, child);
    this.#byId.set(id, child);
  }

  #attendChild(request: Extract<Request, { op: "kill" | "signal" | "took_terminal" }>): void {
    if (request.op === "took_terminal") return void this.#dropTerminal(request.id);
    const child = this.#byId.get(request.id);
    if (!child) return;
    // It is this process's child and not waited for yet, so the pid is its own still.
    if (request.op === "kill") this.#end(child);
    else if (child.program !== undefined)
      signalProgram(
        this.#house.cgroups.members(child.group),
        { init: child.pid, program: child.program },
        request.signal,
      );
  }

  #end(child: Child): void {
    sys.kill(child.pid, SIGKILL);
    this.#house.cgroups.releaseKilled(child.group);
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
      const child = this.#byId.get(status.id);
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
    const child = this.#byPidfd.get(pidfd);
    if (!child) return;
    // What it said before it ended is there by now.
    this.#readStatuses();
    const end = this.#reap(child);
    const { id, group, hostId, isProgram, program } = child;
    const usage = this.#house.cgroups.usage(group);
    const refusal = child.refusal ?? (isProgram && program === undefined ? neverStarted(end, usage) : undefined);
    if (program === undefined) this.#dropTerminal(id);
    const response: Response = refusal
      ? { is: "refused", id, ...refusal }
      : { is: "exited", id, ...(child.end ?? end), usage };
    this.#remains.add({ group, hostId, response });
  }

  #reap(child: Child): ProgramEnd {
    const word = Buffer.alloc(4);
    sys.waitpid(child.pid, word, 0);
    this.#poller.remove(child.pidfd);
    sys.close(child.pidfd);
    this.#byPidfd.delete(child.pidfd);
    this.#byId.delete(child.id);
    return endOf(word.readInt32LE(0));
  }

  /** The worker hung up or died: nobody is left to serve, so nothing of ours stays. */
  #leave(): never {
    for (const child of this.#byId.values()) this.#end(child);
    for (const pidfd of [...this.#byPidfd.keys()]) this.#bury(pidfd);
    for (let attempt = 0; this.#remains.waitMs >= 0 && attempt < MOST_LAST_ATTEMPTS; attempt++) {
      sys.poll(Buffer.alloc(0), 0, this.#remains.waitMs);
      this.#remains.clear();
    }
    this.#house.cgroups.remove(this.#house.group);
    removeRootGroup(this.#house.cgroups);
    return exitNow(0);
  }

  #say(response: Response): void {
    const line = Buffer.from(`${JSON.stringify(response)}\n`);
    try {
      for (let sent = 0; sent < line.length; ) sent += sys.write(CONTROL_FD, line.subarray(sent), line.length - sent);
    } catch (error) {
      // The worker is gone: the next read of the control socket says so and ends the zygote.
      if (!(error instanceof SyscallError && ["EPIPE", "ECONNRESET"].includes(error.code))) throw error;
    }
  }
}

/** Whether the worker is to hear of it when its program has been started, and not before. */
function startsProgram({ program, probe }: Launch): boolean {
  return program !== undefined && !probe;
}
