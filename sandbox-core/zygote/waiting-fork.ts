/**
 * A fork that was made ahead of its launch. Two thirds of a launch are the same for all: the fork
 * itself takes one, a place and the namespaces another. So from the second launch on, a zygote that
 * has nothing else to do makes the next fork, of about a megabyte, with a host user and a group
 * that have the limits of the last launch.
 *
 * The fork goes through the first half of the checklist (fork/enter.ts) and waits for its order: as
 * the host's root, in namespaces that nobody else is in. Such a fork is no sandbox yet; nothing of
 * a tenant's comes near it before the end of the checklist. One that has other limits than the next
 * launch wants, or dies while it waits, is replaced by the launch that needs it. One that waits
 * when its zygote ends, ends with it.
 */
import { isDeepStrictEqual } from "node:util";
import { SIGKILL } from "../abi/linux.ts";
import type { Launch, Order, Place, WaitingFork } from "../fork/order.ts";
import { sys } from "../syscall/libc.ts";
import { openPidfd } from "../syscall/pidfd.ts";
import { makePipe } from "../syscall/steps.ts";
import { writeLine } from "../syscall/write-line.ts";
import { forkAsInit } from "./fork-as-init.ts";

/**
 * Forks; returns on both sides, and the fork has to call `awaitOrder` then.
 * @throws SyscallError, and then there is no fork
 */
export function forkWaiting(number: number, place: Place): WaitingFork {
  const { read, write } = makePipe();
  let pid: number | undefined;
  try {
    pid = forkAsInit();
    // Whatever follows here must not throw in the fork.
    if (pid === 0) return { number, place, pid, pidfd: -1, orders: read };
    sys.close(read);
    return { number, place, pid, pidfd: openPidfd(pid), orders: write };
  } catch (error) {
    if (pid !== undefined) collect(pid);
    for (const fd of [read, write]) closeAnyway(fd);
    throw error;
  }
}

/** Gives the fork its one order. @throws SyscallError, EPIPE when it is dead */
export function tell({ orders }: WaitingFork, order: Order): void {
  writeLine(orders, order);
}

/** Ends a fork that is not needed. */
export function discard({ pid, pidfd, orders }: WaitingFork): void {
  collect(pid);
  sys.close(pidfd);
  sys.close(orders);
}

function closeAnyway(fd: number): void {
  try {
    sys.close(fd);
  } catch {
    // The descriptor was closed already.
  }
}

function collect(pid: number): void {
  sys.kill(pid, SIGKILL);
  sys.waitpid(pid, Buffer.alloc(4), 0);
}

/** Whether a fork that was made ahead suits the launch. */
export function suits({ limits, sharesNetwork }: Place, launch: Launch): boolean {
  return sharesNetwork === isInHostNetwork(launch) && isDeepStrictEqual(limits, launch.limits);
}

export function isInHostNetwork({ program }: Launch): boolean {
  return program?.network === "host";
}

/** Whether the launch is answered only when its program has been started. */
export function startsProgram({ program, probe }: Launch): boolean {
  return program !== undefined && !probe;
}
