/**
 * posix_spawn(3): starts a program without a copy of the caller's memory, which the C library's own
 * child borrows until the program is there. So the cost of it is the program's alone, and a refusal
 * to start comes back as a result.
 */
import koffi from "koffi";
import { O, POSIX_SPAWN, SIG_BLOCK } from "../abi/linux.ts";
import { SyscallError } from "./error.ts";

const libc = koffi.load("libc.so.6");

/** More than any C library's posix_spawnattr_t, posix_spawn_file_actions_t and sigset_t. */
const OPAQUE_BYTES = 512;

type Strings = (string | null)[];
const rawSpawn: (
  pid: Buffer,
  path: string,
  actions: Buffer | null,
  attributes: Buffer,
  argv: Strings,
  env: Strings,
) => number = libc.func(
  "int posix_spawn(void *pid, const char *path, const void *actions, const void *attributes, const char **argv, const char **envp)",
);
const initAttributes: (attributes: Buffer) => number = libc.func("int posix_spawnattr_init(void *attributes)");
const setFlags: (attributes: Buffer, flags: number) => number = libc.func(
  "int posix_spawnattr_setflags(void *attributes, short flags)",
);
const setDefaults: (attributes: Buffer, signals: Buffer) => number = libc.func(
  "int posix_spawnattr_setsigdefault(void *attributes, const void *signals)",
);
const setMask: (attributes: Buffer, signals: Buffer) => number = libc.func(
  "int posix_spawnattr_setsigmask(void *attributes, const void *signals)",
);
const fillSet: (signals: Buffer) => number = libc.func("int sigfillset(void *signals)");
const emptySet: (signals: Buffer) => number = libc.func("int sigemptyset(void *signals)");
const initActions: (actions: Buffer) => number = libc.func("int posix_spawn_file_actions_init(void *actions)");
const addOpen: (actions: Buffer, fd: number, path: string, flags: number, mode: number) => number = libc.func(
  "int posix_spawn_file_actions_addopen(void *actions, int fd, const char *path, int flags, unsigned int mode)",
);
const addDup: (actions: Buffer, from: number, to: number) => number = libc.func(
  "int posix_spawn_file_actions_adddup2(void *actions, int from, int to)",
);
const rawMask: (how: number, signals: Buffer, old: null) => number = libc.func(
  "int sigprocmask(int how, const void *signals, void *old)",
);

// Made once, before any fork: memory that a fork has to make is its own page faults.

const ALL_SIGNALS = Buffer.alloc(OPAQUE_BYTES);
const NO_SIGNALS = Buffer.alloc(OPAQUE_BYTES);
fillSet(ALL_SIGNALS);
emptySet(NO_SIGNALS);
// Node ignores SIGPIPE, and a program inherits what is ignored and what is blocked.
const ORDINARY = attributes(POSIX_SPAWN.SETSIGDEF | POSIX_SPAWN.SETSIGMASK);
const IN_SESSION = attributes(POSIX_SPAWN.SETSIGDEF | POSIX_SPAWN.SETSIGMASK | POSIX_SPAWN.SETSID);

function attributes(flags: number): Buffer {
  const made = Buffer.alloc(OPAQUE_BYTES);
  initAttributes(made);
  setFlags(made, flags);
  setDefaults(made, ALL_SIGNALS);
  setMask(made, NO_SIGNALS);
  return made;
}

export interface SpawnOptions {
  argv: readonly string[];
  env: readonly string[];
  /** Whether it gets a session of its own. */
  session: boolean;
  /**
   * The path of a terminal that becomes its standard input, output and error, and controls its
   * session.
   */
  terminal?: string | undefined;
}

/**
 * Starts a program with every signal as a program expects it, and gives its pid.
 * @throws SyscallError of execve when it cannot be started
 */
export function spawnProgram(path: string, { argv, env, session, terminal }: SpawnOptions): number {
  const pid = Buffer.alloc(4);
  const actions = terminal === undefined ? null : terminalActions(terminal);
  const errno = rawSpawn(pid, path, actions, session ? IN_SESSION : ORDINARY, [...argv, null], [...env, null]);
  if (errno !== 0) throw new SyscallError("execve", errno, path);
  return pid.readInt32LE(0);
}

/**
 * A session's leader that has no terminal gets the first that it opens (credentials(7),
 * "Sessions").
 */
function terminalActions(terminal: string): Buffer {
  const actions = Buffer.alloc(OPAQUE_BYTES);
  initActions(actions);
  addOpen(actions, 0, terminal, O.RDWR, 0);
  addDup(actions, 0, 1);
  addDup(actions, 0, 2);
  return actions;
}

/** Blocks every signal that can be blocked, for the calling thread (sigprocmask(2)). */
export function blockSignals(): void {
  if (rawMask(SIG_BLOCK, ALL_SIGNALS, null) !== 0) throw new SyscallError("sigprocmask", koffi.errno());
}
