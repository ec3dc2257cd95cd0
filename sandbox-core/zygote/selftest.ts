/**
 * Whether a fork of this process can be lived in: a child that allocates, collects and compiles.
 * Under a V8 that hands work to threads, which do not exist in a child, the child hangs.
 *
 * Each zygote of an `auto` launcher does this at its start. The zygote answers others meanwhile,
 * and its launcher has the child ended that takes too long (launcher/fork-selftest.ts).
 */
import { SIGKILL } from "../abi/linux.ts";
import { collectGarbage } from "../fork/heap.ts";
import { endOf, type ProgramEnd } from "../protocol/control.ts";
import { exitNow, sys } from "../syscall/libc.ts";
import { openPidfd } from "../syscall/pidfd.ts";
import { adviseParentDeath } from "../syscall/steps.ts";
import type { Poller } from "./poller.ts";

export class Selftest {
  readonly #poller: Poller;
  readonly #zygotePidfd: number;
  #child: { pid: number; pidfd: number } | undefined;

  constructor(poller: Poller, zygotePidfd: number) {
    this.#poller = poller;
    this.#zygotePidfd = zygotePidfd;
  }

  /** Forks once, and gives the child's pid. The poller tells of its end. @throws SyscallError */
  begin(): number {
    const pid = sys.fork();
    if (pid === 0) exitNow(exercise(this.#zygotePidfd));
    const pidfd = openPidfd(pid);
    this.#child = { pid, pidfd };
    this.#poller.add(pidfd);
    return pid;
  }

  /** Whether the descriptor is of the child. */
  isOf(pidfd: number): boolean {
    return this.#child?.pidfd === pidfd;
  }

  /** Has the child end, if there is one. Nobody has waited for it yet: the pid is its own still. */
  end(): void {
    if (this.#child) sys.kill(this.#child.pid, SIGKILL);
  }

  /** Collects the child once it has ended. @throws SyscallError, or TypeError when there is none */
  reap(): ProgramEnd {
    const { pid, pidfd } = this.#child as { pid: number; pidfd: number };
    this.#child = undefined;
    const word = Buffer.alloc(4);
    sys.waitpid(pid, word, 0);
    this.#poller.remove(pidfd);
    sys.close(pidfd);
    return endOf(word.readInt32LE(0));
  }
}

/** The child's part: 0 when all went well. */
function exercise(zygotePidfd: number): number {
  try {
    adviseParentDeath(zygotePidfd);
    let sum = 0;
    for (let round = 0; round < 40; round++) {
      const garbage = Array.from({ length: 20_000 }, (_, index) => ({ index, text: `${index}` }));
      sum += garbage.length;
    }
    collectGarbage();
    for (let index = 0; index < 2_000_000; index++) sum = (sum * 31 + index) | 0;
    return Number.isInteger(sum) ? 0 : 1;
  } catch {
    return 1;
  }
}
