/**
 * From a request to a fork that has its order. A fork that was made ahead is used when it suits the
 * launch; otherwise the launch makes its own. Each method that forks returns twice: in the zygote
 * with nothing, in the fork with its role.
 */
import { join } from "node:path";
import type { SandboxLimits } from "../contract/sandbox.ts";
import { type Inherited, launchSandbox, type Role } from "../fork/launch.ts";
import type { Launch, WaitingFork } from "../fork/order.ts";
import type { Response } from "../protocol/control.ts";
import { SyscallError } from "../syscall/error.ts";
import { sys } from "../syscall/libc.ts";
import type { Children } from "./children.ts";
import type { Forks } from "./forks.ts";
import type { ZygoteState } from "./state.ts";
import { TerminalPair, type Terminals } from "./terminal.ts";
import { isInHostNetwork, startsProgram, suits, tell } from "./waiting-fork.ts";

export interface LaunchesParts {
  state: ZygoteState;
  forks: Forks;
  children: Children;
  terminals: Terminals;
  inherited: Inherited;
  say: (response: Response) => void;
}

export class Launches {
  readonly #parts: LaunchesParts;
  #count = 0;
  /**
   * The limits of the next fork, if the zygote is to make it as soon as nothing else is to be done.
   */
  #forkAhead: SandboxLimits | undefined;

  constructor(parts: LaunchesParts) {
    this.#parts = parts;
  }

  /** Whether a fork is to be made ahead. */
  get wantsForkAhead(): boolean {
    return this.#forkAhead !== undefined;
  }

  /**
   * Makes the fork of the next launch. A failure is no matter here: that launch makes its own, and
   * hears why it cannot.
   */
  makeForkAhead(): Role | undefined {
    const limits = this.#forkAhead;
    if (limits === undefined) return undefined;
    this.#forkAhead = undefined;
    let waiting: WaitingFork;
    try {
      waiting = this.#parts.forks.make(limits, false);
    } catch {
      return undefined;
    }
    return waiting.pid === 0 ? launchSandbox(waiting, this.#parts.inherited) : undefined;
  }

  /** Has a fork become what the launch wants, or refuses the launch. */
  launch(launch: Launch): Role | undefined {
    const { forks, inherited } = this.#parts;
    let waiting: WaitingFork;
    try {
      this.#prepare(launch);
      const ahead = forks.waiting;
      if (ahead && suits(ahead.place, launch) && this.#handOver(ahead, launch, true)) return undefined;
      forks.drop();
      waiting = forks.make(launch.limits, isInHostNetwork(launch));
    } catch (error) {
      this.#refuse(launch, error as Error);
      return undefined;
    }
    // A fork must never come upon what is done about an error of its parent's.
    if (waiting.pid === 0) return launchSandbox(waiting, inherited);
    try {
      this.#handOver(waiting, launch, false);
    } catch (error) {
      forks.drop();
      this.#refuse(launch, error as Error);
    }
    return undefined;
  }

  /** @throws Error when this zygote cannot make the sandbox */
  #prepare({ program }: Launch): void {
    const { state } = this.#parts;
    if (!program && !state.hasRuntime) throw new Error("this zygote starts programs alone");
    if (program?.root === "usr" || typeof program?.root === "object") state.needUsrRoot();
  }

  /**
   * Gives the waiting fork its order; false when the fork is dead, and `mayBeDead`.
   * @throws Error when that fails, and then the fork waits still
   */
  #handOver(waiting: WaitingFork, launch: Launch, mayBeDead: boolean): boolean {
    const { state, forks, children, terminals, say } = this.#parts;
    const { number, pid, pidfd, place } = waiting;
    const { hostId, group } = place;
    const terminal = this.#openTerminal(launch, hostId);
    try {
      tell(waiting, { launch, usrRoot: state.usrRoot, terminalMount: terminal?.mount });
    } catch (error) {
      const isDead = error instanceof SyscallError && error.code === "EPIPE";
      if (mayBeDead || !isDead) {
        terminal?.discard();
        if (isDead) return false;
        throw error;
      }
      // The fork has said why, which is heard at its burial.
    }
    sys.close(waiting.orders);
    forks.spend();
    if (terminal !== undefined) terminals.add(launch.id, terminal);
    const isProgram = startsProgram(launch);
    children.add({ id: launch.id, number, pid, pidfd, hostId, group, isProgram });
    if (!isProgram) say({ is: "launched", id: launch.id, pid, hostUid: hostId });
    // Nobody knows of a first launch whether there will be another.
    this.#count += 1;
    if (state.forksAhead && this.#count > 1) this.#forkAhead = launch.limits;
    return true;
  }

  #openTerminal({ id, program }: Launch, hostId: number): TerminalPair | undefined {
    const size = program?.terminal;
    return size && new TerminalPair(join(this.#parts.state.directory, `terminal-${id}`), hostId, size);
  }

  #refuse({ id }: Launch, { message }: Error): void {
    this.#parts.say({ is: "refused", id, message });
  }
}
