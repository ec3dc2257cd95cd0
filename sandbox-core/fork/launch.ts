/** A fork's part of a launch: it departs, waits for its order, locks itself in, and goes on as what was asked for. */

import type { CgroupDriver } from "../cgroup/driver.ts";
import type { Program } from "../contract/program.ts";
import { exitNow, unixAddress } from "../syscall/libc.ts";
import { depart, enter } from "./enter.ts";
import type { InitStatus } from "./init.ts";
import { awaitOrder, type Order, type Spare } from "./order.ts";
import { takePipes } from "./pipes.ts";
import { failureOf, reportTo } from "./report.ts";
import { takeSecrets } from "./secrets.ts";
import type { Pipe } from "./signal-pipe.ts";

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

/** What a fork needs to know of its zygote's state. */
interface LaunchState {
  cgroups: Pick<CgroupDriver, "joinFiles">;
  ids: { socketName: string };
  socketPath: string;
  directory: string;
  programRoot: string;
  landlockAbi: number;
  filters: Record<"fork" | "program" | "command", Buffer>;
}

/** What each fork has from its zygote. */
export interface Heirloom {
  house: LaunchState;
  /** What libuv's lock for signals lives in. */
  signalPipe: Pipe;
  /** Where forks report to the zygote. */
  statusPipe: number;
  zygotePidfd: number;
  workerPidfd: number;
}

/** Departs, waits for the order and returns locked in. Never throws: it would unwind into what the zygote does. */
export function becomeSandbox(spare: Spare, heirloom: Heirloom): Born {
  const fail = (error: Error) => end(spare.number, heirloom.statusPipe, error);
  try {
    const { house, signalPipe, statusPipe, zygotePidfd, workerPidfd } = heirloom;
    const { group, limits, sharesNetwork } = spare.place;
    const kept = [...signalPipe, statusPipe, zygotePidfd, workerPidfd, spare.orders];
    depart({ cgroupFiles: house.cgroups.joinFiles(group, limits), sharesNetwork, kept, zygotePidfd });
    return lockIn(awaitOrder(spare), spare, heirloom, fail);
  } catch (error) {
    return fail(error as Error);
  }
}

function lockIn(order: Order, spare: Spare, heirloom: Heirloom, fail: (error: Error) => never): Born {
  const { launch, usrRoot, terminalMount } = order;
  const { number, place } = spare;
  const { hostId } = place;
  const { house, signalPipe, statusPipe, zygotePidfd, workerPidfd } = heirloom;
  const { token, connections, limits } = launch;
  const program = launch.program && takeSecrets(launch.program, launch.secrets, workerPidfd);
  enter({
    hostId,
    limits,
    token,
    connections,
    workerAddress: unixAddress(house.socketPath),
    directory: house.directory,
    programRoot: house.programRoot,
    landlockAbi: house.landlockAbi,
    usrRoot,
    terminalMount,
    pipes: takePipes(launch.pipes ?? [], workerPidfd, hostId),
    filter: house.filters[program ? (program.policy ?? "program") : "fork"],
    signalPipe,
    statusPipe,
    zygotePidfd,
    ...(program ? { program } : {}),
  });
  if (launch.probe) return { is: "probe", zygotesSocket: house.ids.socketName };
  if (!program) return { is: "runtime" };
  const report = (fd: number, status: InitStatus) => reportTo(fd, { fork: number, ...status });
  return { is: "program", program, statusPipe, report, fail };
}

/** Ends a fork that could not become what it should, and says why. */
function end(number: number, statusPipe: number, error: Error): never {
  try {
    reportTo(statusPipe, failureOf(number, error));
  } finally {
    // Whatever happens: what would go on here is a second zygote.
    exitNow(1);
  }
}
