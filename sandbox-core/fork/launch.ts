/**
 * This folder runs in a fork, from fork(2) until the fork has its role. The process is still root
 * at first, and a copy of its zygote; no tenant's byte is near it. At the end every wall stands,
 * and the process goes on as the runtime, as a program's init, as a probe of the walls, or it ends.
 *
 * This file is the way from one to the other. The fork departs (enter.ts, first half), waits for
 * its order (order.ts), takes what only it may have out of its holder (take.ts) and locks itself in
 * (enter.ts, second half). A step that fails ends the fork, and the launch is refused with the name
 * of the system call (report.ts). A template's forks have walls already: template.ts has their
 * part.
 */

import type { CgroupDriver } from "../cgroup/driver.ts";
import type { Program } from "../contract/program.ts";
import { exitNow } from "../syscall/libc.ts";
import { unixAddress } from "../syscall/sockets.ts";
import { handOverEgress } from "./egress-sockets.ts";
import { depart, enter } from "./enter.ts";
import type { InitStatus } from "./init.ts";
import { awaitOrder, type Order, type WaitingFork } from "./order.ts";
import { failureOf, reportTo } from "./report.ts";
import type { Pipe } from "./signal-pipe.ts";
import { takePipes, takeSecrets } from "./take.ts";

/**
 * A fork's role after its launch: the runtime that it holds already, or a program's init, which may
 * still fail to start it.
 */
export type Role =
  | { is: "runtime" }
  | {
      is: "program";
      program: Program;
      statusPipe: number;
      report: (descriptor: number, status: InitStatus) => void;
      fail: (error: Error) => never;
    }
  /**
   * An attestation's look from inside. The socket is one of the zygote's, which it must not reach.
   */
  | { is: "probe"; zygotesSocket: string };

/** The part of a zygote's state that its forks need. */
interface LaunchState {
  cgroups: Pick<CgroupDriver, "joinFiles">;
  ids: { socketName: string };
  socketPath: string;
  directory: string;
  programRoot: string;
  landlockAbi: number;
  filters: Record<"fork" | "program" | "command", Buffer>;
}

/** All that a fork has from its zygote. */
export interface Inherited {
  state: LaunchState;
  /** The pipe of libuv's lock for signals. */
  signalPipe: Pipe;
  /** Where forks report to the zygote. */
  statusPipe: number;
  zygotePidfd: number;
  workerPidfd: number;
}

/**
 * Departs, waits for the order and returns locked in. Never throws: it would unwind into what the
 * zygote does.
 */
export function launchSandbox(waiting: WaitingFork, inherited: Inherited): Role {
  const fail = (error: Error) => end(waiting.number, inherited.statusPipe, error);
  try {
    const { state, signalPipe, statusPipe, zygotePidfd, workerPidfd } = inherited;
    const { group, limits, sharesNetwork } = waiting.place;
    const kept = [...signalPipe, statusPipe, zygotePidfd, workerPidfd, waiting.orders];
    depart({ cgroupFiles: state.cgroups.joinFiles(group, limits), sharesNetwork, kept, zygotePidfd });
    return lockIn(awaitOrder(waiting), waiting, inherited, fail);
  } catch (error) {
    return fail(error as Error);
  }
}

function lockIn(order: Order, waiting: WaitingFork, inherited: Inherited, fail: (error: Error) => never): Role {
  const { launch, usrRoot, terminalMount } = order;
  const { number, place } = waiting;
  const { hostId } = place;
  const { state, signalPipe, statusPipe, zygotePidfd, workerPidfd } = inherited;
  const { token, connections, limits } = launch;
  if (launch.egress) handOverEgress(launch.egress, workerPidfd);
  const program = launch.program && takeSecrets(launch.program, launch.secrets, workerPidfd);
  enter({
    hostId,
    limits,
    token,
    connections,
    workerAddress: unixAddress(state.socketPath),
    directory: state.directory,
    programRoot: state.programRoot,
    landlockAbi: state.landlockAbi,
    usrRoot,
    terminalMount,
    hasEgress: launch.egress !== undefined,
    pipes: takePipes(launch.pipes ?? [], workerPidfd, hostId),
    filter: state.filters[program ? (program.policy ?? "program") : "fork"],
    signalPipe,
    statusPipe,
    zygotePidfd,
    ...(program ? { program } : {}),
  });
  if (launch.probe) return { is: "probe", zygotesSocket: state.ids.socketName };
  if (!program) return { is: "runtime" };
  const report = (fd: number, status: InitStatus) => reportTo(fd, { fork: number, ...status });
  return { is: "program", program, statusPipe, report, fail };
}

/** Ends a fork that could not become what it should, and says why. */
function end(number: number, statusPipe: number, error: Error): never {
  try {
    reportTo(statusPipe, failureOf(number, error));
  } finally {
    // Always: a fork that went on here would be a second zygote.
    exitNow(1);
  }
}
