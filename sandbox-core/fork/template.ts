/**
 * A template: the first process of a sandbox once a version is loaded in it. A template forks when
 * it is told to, and does nothing else any more. Like a zygote it waits in blocking calls, so that
 * its forks inherit a loop at rest.
 *
 * A template never sees anything of a call, and reads nothing but the worker's orders to fork and
 * to end a fork, and descriptors, which become the fork's own. A fork has neither the template's
 * wire nor any other descriptor that a fork before it had.
 *
 * The worker hears by a fork's own wire that it ended, and says so here: nothing but an order needs
 * waiting for. The worker believes none of this. Whatever a fork leaves is ended and looked for
 * from outside (launcher/fork-slot.ts, launcher/scratch-cleaner.ts).
 */
import { setFlagsFromString } from "node:v8";
import { F_SETFL, O, SIG_DFL, SIGCHLD, SIGKILL, WNOHANG } from "../abi/linux.ts";
import { endOf, type ProgramEnd } from "../protocol/control.ts";
import { decodeTemplateOrder, encodeEnded, TEMPLATE_ORDER_BYTES, type TemplateOrder } from "../protocol/frames.ts";
import { TMP_FD } from "../rootfs/scratch.ts";
import { EXIT_PROTOCOL, EXIT_WIRE_CLOSED } from "../runtime/exit-codes.ts";
import { spendRandomCaches } from "../runtime/random.ts";
import { SyscallError } from "../syscall/error.ts";
import { exitNow, sys } from "../syscall/libc.ts";
import { isReadable } from "../syscall/steps.ts";
import { complain } from "./complain.ts";
import { renewProcess } from "./renew.ts";
import { type Handlers, putHandlersAside, takeHandlersUp } from "./signal-handlers.ts";

const WIRE_FD = 3;
const OUTPUT_FDS = [1, 2];
/** The writer itself (cgroup.procs in the kernel's documentation of control groups). */
const MYSELF = Buffer.from("0");

/**
 * A process that lives for one call never uses the code that V8's middle compiler makes in its
 * first milliseconds.
 */
const NO_MAGLEV = "--no-maglev";

/**
 * Most descriptors that come with the order to fork: a wire, an output, and the slot's
 * (launcher/fork-slot.ts).
 */
const MOST_DESCRIPTORS = 8;

interface Order extends TemplateOrder {
  descriptors: number[];
}

/**
 * Serves as a template for as long as the worker holds its wire, and never returns then. Returns in
 * each fork, which has a wire, an output, a loop and random values of its own.
 * @param livesLong whether a fork serves more than one call
 */
export function serveAsTemplate(livesLong: boolean): void {
  orLeave(spendRandomCaches);
  if (!livesLong) setFlagsFromString(NO_MAGLEV);
  const handlers = orLeave(putHandlersAside);
  const children = new Children();
  for (;;) {
    const { order, fork, descriptors } = awaitOrder();
    if (order === "end") {
      orLeave(() => tell(encodeEnded(fork, children.end(fork))));
      continue;
    }
    const pid = forkOrLeave();
    // A fork must never come upon what is done about an error of its parent's.
    if (pid === 0) {
      becomeFork(descriptors, handlers);
      return;
    }
    children.add(fork, pid);
    orLeave(() => closeAll(descriptors));
  }
}

/**
 * Does what the template itself does: a failure ends the template, and with it everything in the
 * sandbox.
 */
function orLeave<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    complain(error);
    return exitNow(EXIT_PROTOCOL);
  }
}

function awaitOrder(): Order {
  return orLeave(() => {
    const bytes = Buffer.alloc(TEMPLATE_ORDER_BYTES);
    retried(() => isReadable(WIRE_FD, -1));
    const descriptors = retried(() => sys.receiveDescriptors(WIRE_FD, bytes, MOST_DESCRIPTORS));
    if (descriptors === null) return exitNow(EXIT_WIRE_CLOSED);
    return { ...decodeTemplateOrder(bytes), descriptors };
  });
}

function forkOrLeave(): number {
  return orLeave(() => {
    // A template collects its own forks. As a fork of the zygote's it left that to the kernel.
    sys.signal(SIGCHLD, SIG_DFL);
    return sys.fork();
  });
}

/** The forks of this template, by their numbers. */
class Children {
  readonly #alive = new Map<number, number>();
  /** The ends of forks that were collected before anybody asked. */
  readonly #ends = new Map<number, ProgramEnd>();
  readonly #word = Buffer.alloc(4);

  add(fork: number, pid: number): void {
    this.#alive.set(fork, pid);
  }

  /**
   * Ends a fork, unless it has ended, and collects it; with the last one goes whatever else there
   * is.
   * @throws Error
   */
  end(fork: number): ProgramEnd {
    const pid = this.#alive.get(fork);
    if (pid === undefined) throw new Error("a template was told to end a fork that it has not");
    this.#collectEnded();
    const end = this.#ends.get(pid) ?? this.#kill(pid);
    this.#ends.delete(pid);
    this.#alive.delete(fork);
    if (this.#alive.size === 0) this.#endTheRest();
    return end;
  }

  /** Collects what has ended: forks, and orphans, which fall to it. */
  #collectEnded(): void {
    for (;;) {
      const pid = this.#wait(-1, WNOHANG);
      if (pid === 0 || pid === null) return;
      // Ends of orphans are not kept: an orphan's number may be a fork's before long.
      if ([...this.#alive.values()].includes(pid)) this.#ends.set(pid, endOf(this.#word.readInt32LE(0)));
    }
  }

  #kill(pid: number): ProgramEnd {
    sys.kill(pid, SIGKILL);
    this.#wait(pid, 0);
    return endOf(this.#word.readInt32LE(0));
  }

  /** Kills whatever else there is in its namespace (kill(2), -1), and collects all of it. */
  #endTheRest(): void {
    try {
      sys.kill(-1, SIGKILL);
    } catch (error) {
      // There is nothing to kill.
      if (!(error instanceof SyscallError && error.code === "ESRCH")) throw error;
    }
    while (this.#wait(-1, 0) !== null);
  }

  /** The result of waitpid(2); null when there is no child. */
  #wait(pid: number, options: number): number | null {
    try {
      return retried(() => sys.waitpid(pid, this.#word, options));
    } catch (error) {
      if (error instanceof SyscallError && error.code === "ECHILD") return null;
      throw error;
    }
  }
}

/** A frame fits into the socket: the worker has read all that came before it. */
function tell(frame: Buffer): void {
  const written = sys.write(WIRE_FD, frame, frame.length);
  if (written !== frame.length) throw new Error("the worker does not read what its template says");
}

/** Repeats a call that a signal interrupts. */
function retried<Result>(call: () => Result): Result {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (!(error instanceof SyscallError && error.code === "EINTR")) throw error;
    }
  }
}

/**
 * @param place a fork slot's /tmp and what to write to in order to be in its control group
 * (launcher/fork-slot.ts), or nothing
 */
function becomeFork([wire, output, ...place]: number[], handlers: Handlers): void {
  try {
    takeHandlersUp(handlers);
    if (wire === undefined || output === undefined) throw new Error("a fork was given no connections");
    const [tmp, ...joinFiles] = place;
    for (const fd of joinFiles) sys.write(fd, MYSELF, MYSELF.length);
    if (tmp !== undefined) sys.dup2(tmp, TMP_FD);
    const nothing = sys.open("/dev/null", O.RDWR);
    sys.fcntl(wire, F_SETFL, O.NONBLOCK);
    sys.dup2(nothing, 0);
    sys.dup2(wire, WIRE_FD);
    for (const fd of OUTPUT_FDS) sys.dup2(output, fd);
    closeAll([nothing, wire, output, ...place]);
    renewProcess();
  } catch (error) {
    complain(error);
    exitNow(EXIT_PROTOCOL);
  }
}

function closeAll(descriptors: readonly number[]): void {
  for (const fd of descriptors) sys.close(fd);
}
