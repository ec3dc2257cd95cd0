/**
 * The zygote's work: waits for requests and for deaths, in blocking calls, until the worker hangs
 * up. A loop of libuv's would be inherited by every fork with its timers, handles and promises, so
 * there is none.
 *
 * Each sandbox is watched through a pidfd. Forks report through one pipe that all of them share,
 * until they are locked in: a line of less than PIPE_BUF bytes is written whole (pipe(7)).
 *
 * A call of the zygote's own that fails is a refusal when it belongs to one launch. Otherwise the
 * zygote ends, and the next one serves. The worker gives a zygote up that does not answer
 * (launcher/heartbeat.ts); a single turn that takes ten seconds is ended by the kernel (alarm(2)),
 * whether there is a worker or not.
 */
import { SIGKILL } from "../abi/linux.ts";
import { removeRootGroup } from "../cgroup/sweep.ts";
import type { Role } from "../fork/launch.ts";
import { neverStarted } from "../fork/report.ts";
import { findSignalPipe } from "../fork/signal-pipe.ts";
import { CONTROL_FD, LineReader, type Request, type Response, type Status } from "../protocol/control.ts";
import { SyscallError } from "../syscall/error.ts";
import { exitNow, sys } from "../syscall/libc.ts";
import { openPidfd } from "../syscall/pidfd.ts";
import { signalProgram } from "../syscall/signal-program.ts";
import { canRefuseDescriptors, isReadable, makePipe } from "../syscall/steps.ts";
import { writeLine } from "../syscall/write-line.ts";
import { type Child, Children } from "./children.ts";
import { EgressHandOuts } from "./egress-hand-outs.ts";
import { mountFiles } from "./files-mount.ts";
import { Forks } from "./forks.ts";
import { Launches } from "./launches.ts";
import { Poller } from "./poller.ts";
import { Reaper } from "./reaper.ts";
import { Selftest } from "./selftest.ts";
import type { ZygoteState } from "./state.ts";
import { Terminals } from "./terminal.ts";

/** Longer than anything that is done between two waits. */
const LONGEST_TURN_S = 10;
const READ_BYTES = 65_536;

/** Requests about one sandbox. */
type ChildRequest = Extract<
  Request,
  { op: "kill" | "signal" | "took_terminal" | "mount_files" | "open_egress" | "took_egress" }
>;

/** Serves until the worker hangs up, and never returns then; returns in each fork, locked in. */
export function serve(state: ZygoteState): Role {
  return new Server(state).run();
}

class Server {
  readonly #state: ZygoteState;
  readonly #poller = new Poller();
  readonly #reaper: Reaper;
  readonly #forks: Forks;
  readonly #launches: Launches;
  readonly #children: Children;
  readonly #terminals = new Terminals();
  readonly #egress = new EgressHandOuts();
  readonly #selftest: Selftest;
  readonly #requests = new LineReader<Request>();
  readonly #statuses = new LineReader<Status>();
  readonly #buffer = Buffer.alloc(READ_BYTES);
  readonly #statusRead: number;

  constructor(state: ZygoteState) {
    const say = (response: Response) => this.#say(response);
    this.#state = state;
    this.#reaper = new Reaper(state.cgroups, state.ids, say);
    this.#forks = new Forks(state, this.#poller, this.#reaper);
    this.#children = new Children(this.#poller);
    // Found before there is a pipe of our own.
    const signalPipe = findSignalPipe();
    const { read, write } = makePipe();
    this.#statusRead = read;
    const [zygotePidfd, workerPidfd] = [openPidfd(process.pid), openPidfd(process.ppid)];
    this.#selftest = new Selftest(this.#poller, zygotePidfd);
    this.#launches = new Launches({
      state,
      forks: this.#forks,
      children: this.#children,
      terminals: this.#terminals,
      inherited: { state, signalPipe, statusPipe: write, zygotePidfd, workerPidfd },
      say,
    });
    this.#poller.add(CONTROL_FD);
    this.#poller.add(this.#statusRead);
  }

  run(): Role {
    const { group, filterSha256, landlockAbi } = this.#state;
    const facts = { filterSha256, landlockAbi, refusesDescriptors: canRefuseDescriptors() };
    this.#say({ is: "ready", group, facts });
    for (;;) {
      const ready = this.#poller.wait(this.#launches.wantsForkAhead ? 0 : this.#reaper.waitMs);
      // Forks inherit no alarm.
      sys.alarm(LONGEST_TURN_S);
      const makesAhead = ready.length === 0 && this.#launches.wantsForkAhead;
      const role = makesAhead ? this.#launches.makeForkAhead() : this.#attendAll(ready);
      if (role) return role;
      this.#reaper.clear();
      sys.alarm(0);
    }
  }

  /**
   * Requests last: what they make has descriptors by numbers that may have been those of the dead.
   */
  #attendAll(ready: readonly number[]): Role | undefined {
    for (const fd of ready)
      if (fd === this.#statusRead) this.#readStatuses();
      else if (this.#selftest.isOf(fd)) this.#say({ is: "selftested", end: this.#selftest.reap() });
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
    if (request.op === "launch") return this.#launches.launch(request);
    if (request.op === "selftest") this.#say({ is: "selftesting", pid: this.#selftest.begin() });
    else if (request.op === "end_selftest") this.#selftest.end();
    else if (request.op === "ping") this.#say({ is: "there" });
    else this.#attendChild(request);
    return undefined;
  }

  #attendChild(request: ChildRequest): void {
    if (request.op === "took_terminal") return void this.#terminals.drop(request.id);
    if (request.op === "took_egress") return void this.#egress.drop(request.id);
    const child = this.#children.withId(request.id);
    if (!child) return;
    if (request.op === "kill") this.#end(child);
    else if (request.op === "mount_files") this.#mountFiles(child, request.source);
    else if (request.op === "open_egress") this.#say(this.#egress.open(child, request.sockets));
    else if (child.program !== undefined)
      signalProgram(
        this.#state.cgroups.members(child.group),
        { init: child.pid, program: child.program },
        request.signal,
      );
  }

  #mountFiles({ id, pid }: Child, source: string): void {
    try {
      mountFiles(this.#state.directory, pid, source);
      this.#say({ is: "mounted_files", id });
    } catch (error) {
      this.#say({ is: "mounted_files", id, problem: (error as Error).message });
    }
  }

  /** Kills a child. Nobody has waited for it yet, so the pid is its own still. */
  #end(child: Child): void {
    sys.kill(child.pid, SIGKILL);
    this.#state.cgroups.releaseKilled(child.group);
  }

  #readStatuses(): void {
    // A burial may have read what the poller told of.
    if (!isReadable(this.#statusRead, 0)) return;
    const count = sys.read(this.#statusRead, this.#buffer, READ_BYTES);
    for (const status of this.#statuses.push(this.#buffer.subarray(0, count))) {
      const child = this.#children.withNumber(status.fork);
      if (child) this.#note(child, status);
    }
  }

  #note(child: Child, status: Status): void {
    if (status.is === "ended") child.end = status.end;
    else if (status.is === "failed") {
      const { fork: _, is: __, ...refusal } = status;
      child.refusal = refusal;
    } else {
      const { id, pid, hostId } = child;
      const { program } = status;
      const terminal = this.#terminals.handOut(id);
      const more = terminal !== undefined && { terminal };
      child.program = program;
      this.#say({ is: "launched", id, pid, hostUid: hostId, program, ...more });
    }
  }

  /**
   * The first process of the sandbox ended, and with it all others: the kernel ends a pid namespace
   * with its init.
   */
  #bury(pidfd: number): void {
    if (pidfd === this.#forks.waiting?.pidfd) this.#forks.drop();
    const child = this.#children.withPidfd(pidfd);
    if (!child) return;
    // Whatever the child said before it ended is in the pipe by now.
    this.#readStatuses();
    const end = this.#children.reap(child);
    const { id, group, hostId, isProgram, program } = child;
    const usage = this.#state.cgroups.usage(group);
    const refusal = child.refusal ?? (isProgram && program === undefined ? neverStarted(end, usage) : undefined);
    if (program === undefined) this.#terminals.drop(id);
    const response: Response = refusal
      ? { is: "refused", id, ...refusal }
      : { is: "exited", id, ...(child.end ?? end), usage };
    this.#reaper.add({ group, hostId, response });
  }

  /** The worker hung up or died: nobody is left to serve, so nothing of ours stays. */
  #leave(): never {
    this.#forks.drop();
    this.#selftest.end();
    const children = this.#children.all();
    for (const child of children) this.#end(child);
    for (const { pidfd } of children) this.#bury(pidfd);
    this.#reaper.addAllOf(this.#state.group);
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
