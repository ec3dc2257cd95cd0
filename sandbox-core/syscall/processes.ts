/** Processes and signals: the part of `sys` that starts, ends and collects processes. */
import koffi from "koffi";
import { checked, first } from "./checked.ts";
import { SyscallError } from "./error.ts";
import { blockSignals, spawnProgram } from "./spawn.ts";

const libc = koffi.load("libc.so.6");

const rawExecve = libc.func("int execve(const char *path, const char **argv, const char **envp)");

export const processCalls = {
  fork: checked("fork", libc.func("int fork()") as () => number),
  /** execve(2). Returns only by throwing. */
  execve: (path: string, argv: readonly string[], env: readonly string[]): never => {
    rawExecve(path, [...argv, null], [...env, null]);
    const errno = koffi.errno();
    throw new SyscallError("execve", errno, path);
  },
  /** Starts a program without copying the caller's memory (posix_spawn(3)), and gives its pid. */
  posixSpawn: spawnProgram,
  waitpid: checked(
    "waitpid",
    libc.func("int waitpid(int pid, void *status, int options)") as (
      pid: number,
      status: Buffer,
      options: number,
    ) => number,
    first,
  ),
  kill: checked("kill", libc.func("int kill(int pid, int signal)") as (pid: number, signal: number) => number, first),
  /** alarm(2): has SIGALRM end this process after so many seconds; 0 takes that back. */
  alarm: libc.func("unsigned int alarm(unsigned int seconds)") as (seconds: number) => number,
  /** signal(2), with SIG_IGN or SIG_DFL for a handler. */
  signal: checked(
    "signal",
    libc.func("intptr_t signal(int signal, intptr_t handler)") as (signal: number, handler: number) => number,
    first,
  ),
  /** sigaction(2), with actions as the C library lays them out. */
  sigaction: checked(
    "sigaction",
    libc.func("int sigaction(int signal, const void *action, void *old)") as (
      signal: number,
      action: Buffer | null,
      old: Buffer | null,
    ) => number,
    first,
  ),
  blockSignals,
};
