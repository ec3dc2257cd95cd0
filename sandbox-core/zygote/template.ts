/**
 * A template: the first process of a sandbox once a version is loaded in it, which forks for each call and does nothing
 * else any more. It waits in blocking calls, as a zygote does, so that its forks inherit a loop at rest.
 *
 * It never sees anything of a call: all that it reads is the worker's word to fork, and two descriptors, which become
 * the fork's wire and output. A fork has neither the template's wire nor any other descriptor that a fork before it had.
 * The worker believes none of this. It looks from outside before it sends the next call (wipe.ts).
 */
import { setFlagsFromString } from "node:v8";
import { F_SETFL, O, SIG_DFL, SIGCHLD, SIGKILL } from "../abi/linux.ts";
import { encodeEnded, encodeFork } from "../protocol/frames.ts";
import { EXIT_PROTOCOL, EXIT_WIRE_CLOSED } from "../runtime/exit-codes.ts";
import { spendRandomCaches } from "../runtime/random.ts";
import { SyscallError } from "../syscall/error.ts";
import { exitNow, sys } from "../syscall/libc.ts";
import { isReadable } from "../syscall/steps.ts";
import { complain } from "./complain.ts";
import { endOf, type ProgramEnd } from "./control.ts";
import { type Handlers, putHandlersAside, takeHandlersUp } from "./handlers.ts";
import { renewProcess } from "./renew.ts";

const WIRE_FD = 3;
const OUTPUT_FDS = [1, 2];

/** A fork lives for one call: what V8's middle compiler would make of it in the first milliseconds, it never uses. */
const NO_MAGLEV = "--no-maglev";

type Lanes = [wire: number, output: number];

/**
 * Serves as a template for as long as the worker holds its wire, and never returns then. Returns in each fork, which has
 * a wire, an output, a loop and random values of its own.
 */
export function serveAsTemplate(): void {
  orLeave(spendRandomCaches);
  setFlagsFromString(NO_MAGLEV);
  const handlers = orLeave(putHandlersAside);
  for (;;) {
    const lanes = awaitOrder();
    const pid = forkOrLeave();
    // A fork must never come upon what is done about an error of its parent's.
    if (pid === 0) {
      becomeFork(lanes, handlers);
      return;
    }
    attend(pid, lanes);
  }
}

/** The parent's calls: one that fails ends it, and with it everything in the sandbox. */
function orLeave<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    complain(error);
    return exitNow(EXIT_PROTOCOL);
  }
}

function awaitOrder(): Lanes {
  return orLeave(() => {
    const order = encodeFork();
    const bytes = Buffer.alloc(order.length);
    retried(() => isReadable(WIRE_FD, -1));
    const lanes = retried(() => sys.receiveDescriptors(WIRE_FD, bytes, 2));
    if (lanes === null) return exitNow(EXIT_WIRE_CLOSED);
    if (!bytes.equals(order)) throw new Error("a template was sent something else than the order to fork");
    return lanes as Lanes;
  });
}

function forkOrLeave(): number {
  return orLeave(() => {
    // It wants to hear how its fork ended; as a fork of the zygote's it let the kernel collect what ended.
    sys.signal(SIGCHLD, SIG_DFL);
    return sys.fork();
  });
}

/** Waits for the fork's end, ends what it left, and tells the worker. */
function attend(pid: number, lanes: Lanes): void {
  orLeave(() => {
    for (const fd of lanes) sys.close(fd);
    const end = collect(pid);
    endTheRest();
    tell(encodeEnded(end));
  });
}

/** Collects orphans, which fall to it, until this child ends. */
function collect(pid: number): ProgramEnd {
  const word = Buffer.alloc(4);
  while (retried(() => sys.waitpid(-1, word, 0)) !== pid);
  return endOf(word.readInt32LE(0));
}

/** Kills whatever else there is in its namespace (kill(2), -1), and collects all of it. */
function endTheRest(): void {
  const word = Buffer.alloc(4);
  try {
    sys.kill(-1, SIGKILL);
    for (;;) retried(() => sys.waitpid(-1, word, 0));
  } catch (error) {
    // There is nothing to kill, and nothing to wait for.
    if (!(error instanceof SyscallError && ["ESRCH", "ECHILD"].includes(error.code))) throw error;
  }
}

/** A frame fits into the socket: the worker has read all that came before it. */
function tell(frame: Buffer): void {
  const written = sys.write(WIRE_FD, frame, frame.length);
  if (written !== frame.length) throw new Error("the worker does not read what its template says");
}

/** What a signal interrupts is done again. */
function retried<Result>(call: () => Result): Result {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (!(error instanceof SyscallError && error.code === "EINTR")) throw error;
    }
  }
}

function becomeFork([wire, output]: Lanes, handlers: Handlers): void {
  try {
    takeHandlersUp(handlers);
    const nothing = sys.open("/dev/null", O.RDWR);
    sys.fcntl(wire, F_SETFL, O.NONBLOCK);
    for (const [from, to] of [[nothing, 0], [wire, WIRE_FD], ...OUTPUT_FDS.map((fd) => [output, fd])] as [
      number,
      number,
    ][])
      sys.dup2(from, to);
    for (const fd of [nothing, wire, output]) sys.close(fd);
    renewProcess();
  } catch (error) {
    complain(error);
    exitNow(EXIT_PROTOCOL);
  }
}
