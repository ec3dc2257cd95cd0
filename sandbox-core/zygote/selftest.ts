/**
 * Whether a fork of this process can be lived in: a child that allocates, collects and compiles
 * within five seconds. Under a V8 that hands work to threads, which do not exist in a child, the
 * child hangs.
 *
 * Each zygote of an `auto` launcher does this at its start. Where it fails, every sandbox starts a
 * Node of its own through the same checklist (the `exec` launcher), which is slower, and the
 * worker's log says so.
 */
import { SIGKILL } from "../abi/linux.ts";
import { collectGarbage } from "../fork/heap.ts";
import { exitNow, sys } from "../syscall/libc.ts";
import { openPidfd } from "../syscall/pidfd.ts";
import { isReadable } from "../syscall/steps.ts";

const DEADLINE_MS = 5_000;

/**
 * Forks once and says whether the child lived. Takes milliseconds, or five seconds when it did not.
 */
export function provesFork(): boolean {
  const pid = sys.fork();
  if (pid === 0) exitNow(exercise());
  const pidfd = openPidfd(pid);
  const ended = isReadable(pidfd, DEADLINE_MS);
  if (!ended) sys.kill(pid, SIGKILL);
  const status = Buffer.alloc(4);
  sys.waitpid(pid, status, 0);
  sys.close(pidfd);
  return ended && status.readInt32LE(0) === 0;
}

/** The child's part: 0 when all went well. */
function exercise(): number {
  try {
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
