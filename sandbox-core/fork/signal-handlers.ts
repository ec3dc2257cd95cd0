/**
 * Handlers of signals, which a template must not have. The kernel keeps from the first process of a
 * pid namespace what others in it send, unless it has a handler for that (pid_namespaces(7)); and a
 * handler changes the process. V8's for SIGSEGV takes itself away at the first signal that it did
 * not expect, and every fork after that would die of what WebAssembly expects it to catch; those of
 * Node for SIGINT and SIGTERM run once. So a template puts its handlers aside, and each fork takes
 * them up again.
 */
import { SIG_DFL, SIG_IGN, SIGKILL, SIGSTOP } from "../abi/linux.ts";
import { sys } from "../syscall/libc.ts";

const LAST_SIGNAL = 64;
/** Signals of the C library's own. Its handlers act only on signals of their own process. */
const OF_THE_LIBRARY = [32, 33];
/** More than a struct sigaction of any C library. */
const ACTION_BYTES = 256;

/**
 * Signals with the handlers that they had, for the kernel and the C library alone to understand.
 */
export type Handlers = [signal: number, action: Buffer][];

/**
 * Has every signal do from now on what it does without a handler (sigaction(2)).
 * @throws SyscallError
 */
export function putHandlersAside(): Handlers {
  const handlers: Handlers = [];
  for (let signal = 1; signal <= LAST_SIGNAL; signal++) {
    if ([SIGKILL, SIGSTOP, ...OF_THE_LIBRARY].includes(signal)) continue;
    const action = Buffer.alloc(ACTION_BYTES);
    sys.sigaction(signal, null, action);
    // Its first field, on every architecture.
    if ([BigInt(SIG_DFL), BigInt(SIG_IGN)].includes(action.readBigUInt64LE(0))) continue;
    sys.sigaction(signal, Buffer.alloc(ACTION_BYTES), null);
    handlers.push([signal, action]);
  }
  return handlers;
}

/** @throws SyscallError */
export function takeHandlersUp(handlers: Handlers): void {
  for (const [signal, action] of handlers) sys.sigaction(signal, action, null);
}
