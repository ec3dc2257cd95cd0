/**
 * System calls as typed functions. Each is bound once, takes plain numbers, strings and buffers, and throws a
 * SyscallError that names it. koffi accepts a wrong argument silently, so the full C prototypes below and the
 * TypeScript types of `sys` are the only guard: change both together.
 */
import koffi from "koffi";
import { currentArchitecture } from "../abi/arch.ts";
import { SECCOMP_SET_MODE_FILTER } from "../abi/linux.ts";
import { checked } from "./checked.ts";
import { SyscallError } from "./error.ts";
import { openInRoot } from "./openat2.ts";
import { receiveDescriptors, sendDescriptors } from "./rights.ts";
import { socketCalls } from "./sockets.ts";
import { blockSignals, spawnProgram } from "./spawn.ts";

const libc = koffi.load("libc.so.6");

/** read(2), write(2) and their kind. */
type BytesCall = (fd: number, bytes: Buffer, count: number) => number;
type GetRandom = (to: Buffer, size: number, flags: number) => number;

const first = (value: unknown) => String(value);
const firstTwo = (a: unknown, b: unknown) => `${a}, ${b}`;

const rawExit: (code: number) => never = libc.func("void _exit(int code)") as never;
const rawExecve = libc.func("int execve(const char *path, const char **argv, const char **envp)");

/**
 * The calls. All of ours go through this one object, whose members are looked up at each call: a test that has a zygote
 * load a module first can put its own in place, to record calls and to have them fail (test/helpers/fault-module.ts).
 */
export const sys = {
  getrandom: checked("getrandom", libc.func("long getrandom(void *to, size_t size, unsigned int flags)") as GetRandom),
  fork: checked("fork", libc.func("int fork()") as () => number),
  unshare: checked(
    "unshare",
    libc.func("int unshare(int flags)") as (flags: number) => number,
    (flags) => `0x${flags.toString(16)}`,
  ),
  setns: checked("setns", libc.func("int setns(int fd, int nstype)") as (fd: number, kind: number) => number),
  mount: checked(
    "mount",
    libc.func(
      "int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)",
    ) as (source: string | null, target: string, type: string | null, flags: number, data: string | null) => number,
    firstTwo,
  ),
  umount2: checked(
    "umount2",
    libc.func("int umount2(const char *target, int flags)") as (target: string, flags: number) => number,
    first,
  ),
  /** pivot_root(2); the C library has no wrapper. */
  pivotRoot: checked(
    "pivot_root",
    (newRoot: string, putOld: string) => rawPivotRoot(PIVOT_ROOT, newRoot, putOld),
    firstTwo,
  ),
  mknod: checked(
    "mknod",
    libc.func("int mknod(const char *path, unsigned int mode, unsigned long device)") as (
      path: string,
      mode: number,
      device: number,
    ) => number,
    first,
  ),
  chmod: checked(
    "chmod",
    libc.func("int chmod(const char *path, unsigned int mode)") as (path: string, mode: number) => number,
    first,
  ),
  chdir: checked("chdir", libc.func("int chdir(const char *path)") as (path: string) => number, first),
  sethostname: checked(
    "sethostname",
    libc.func("int sethostname(const char *name, size_t length)") as (name: string, length: number) => number,
  ),
  setgroups: checked(
    "setgroups",
    libc.func("int setgroups(size_t size, const void *list)") as (size: number, list: null) => number,
  ),
  setresgid: checked(
    "setresgid",
    libc.func("int setresgid(unsigned int real, unsigned int effective, unsigned int saved)") as (
      ...ids: [number, number, number]
    ) => number,
    first,
  ),
  setresuid: checked(
    "setresuid",
    libc.func("int setresuid(unsigned int real, unsigned int effective, unsigned int saved)") as (
      ...ids: [number, number, number]
    ) => number,
    first,
  ),
  prctl: checked(
    "prctl",
    libc.func(
      "int prctl(int option, unsigned long two, unsigned long three, unsigned long four, unsigned long five)",
    ) as (...args: [number, number, number, number, number]) => number,
    firstTwo,
  ),
  setrlimit: checked(
    "setrlimit",
    libc.func("int setrlimit(int resource, const void *limit)") as (resource: number, limit: Buffer) => number,
    first,
  ),
  open: checked(
    "open",
    libc.func("int open(const char *path, int flags)") as (path: string, flags: number) => number,
    first,
  ),
  close: checked("close", libc.func("int close(int fd)") as (fd: number) => number, first),
  memfdCreate: checked(
    "memfd_create",
    libc.func("int memfd_create(const char *name, unsigned int flags)") as (name: string, flags: number) => number,
  ),
  read: checked("read", libc.func("long read(int fd, void *buffer, size_t count)") as BytesCall, first),
  write: checked("write", libc.func("long write(int fd, const void *buffer, size_t count)") as BytesCall, first),
  dup2: checked("dup2", libc.func("int dup2(int from, int to)") as (from: number, to: number) => number, firstTwo),
  fcntl: checked(
    "fcntl",
    libc.func("int fcntl(int fd, int command, long argument)") as (...args: [number, number, number]) => number,
    firstTwo,
  ),
  pipe2: checked("pipe2", libc.func("int pipe2(void *fds, int flags)") as (fds: Buffer, flags: number) => number),
  ...socketCalls,
  ioctl: checked(
    "ioctl",
    libc.func("int ioctl(int fd, unsigned long request, void *argument)") as (
      fd: number,
      request: number,
      argument: Buffer,
    ) => number,
    firstTwo,
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
  waitpid: checked(
    "waitpid",
    libc.func("int waitpid(int pid, void *status, int options)") as (
      pid: number,
      status: Buffer,
      options: number,
    ) => number,
    first,
  ),
  poll: checked(
    "poll",
    libc.func("int poll(void *fds, unsigned long count, int timeout)") as (
      fds: Buffer,
      count: number,
      timeoutMs: number,
    ) => number,
  ),
  epollCreate: checked("epoll_create1", libc.func("int epoll_create1(int flags)") as (flags: number) => number),
  epollControl: checked(
    "epoll_ctl",
    libc.func("int epoll_ctl(int epoll, int operation, int fd, void *event)") as (
      epoll: number,
      operation: number,
      fd: number,
      event: Buffer | null,
    ) => number,
  ),
  epollWait: checked(
    "epoll_wait",
    libc.func("int epoll_wait(int epoll, void *events, int most, int timeout)") as (
      epoll: number,
      events: Buffer,
      most: number,
      timeoutMs: number,
    ) => number,
  ),
  /** syscall(2), for calls that the C library does not wrap; `name` is for the error alone. */
  syscall: (name: string, number: number, ...args: SyscallArguments): number => {
    const result = rawSyscall(number, args[0] ?? 0, args[1] ?? 0, args[2] ?? 0, args[3] ?? 0, args[4] ?? 0);
    if (result === -1) {
      const errno = koffi.errno();
      throw new SyscallError(name, errno);
    }
    return result;
  },
  /** landlock_create_ruleset(2) and landlock_add_rule(2), with their numbers; the C library has no wrappers. */
  createRuleset: checked(
    "landlock_create_ruleset",
    libc.func("syscall", "long", ["long", "void *", "size_t", "unsigned int"]) as (
      number: number,
      attributes: Buffer,
      bytes: number,
      flags: number,
    ) => number,
  ),
  addRule: checked(
    "landlock_add_rule",
    libc.func("syscall", "long", ["long", "int", "int", "void *", "unsigned int"]) as (
      number: number,
      ruleset: number,
      kind: number,
      attributes: Buffer,
      flags: number,
    ) => number,
  ),
  /** seccomp(2): installs a filter, an array of struct sock_filter, for this process and what it forks. */
  installFilter: checked("seccomp", (filter: Buffer) =>
    rawSeccomp(SECCOMP, SECCOMP_SET_MODE_FILTER, 0, { length: filter.length / 8, filter }),
  ),
  /** execve(2). Returns only by throwing. */
  execve: (path: string, argv: readonly string[], env: readonly string[]): never => {
    rawExecve(path, [...argv, null], [...env, null]);
    const errno = koffi.errno();
    throw new SyscallError("execve", errno, path);
  },
  /** Opens a path inside a directory as if that were the root (openat2(2)). */
  openInRoot,
  /** Descriptors through a unix socket (unix(7), SCM_RIGHTS). */
  sendDescriptors,
  receiveDescriptors,
  /** Starts a program without copying the caller's memory (posix_spawn(3)), and gives its pid. */
  posixSpawn: spawnProgram,
  blockSignals,
  /** capset(2) with the header and data as the kernel lays them out. */
  capset: checked(
    "capset",
    libc.func("int capset(void *header, const void *data)") as (header: Buffer, data: Buffer) => number,
  ),
};

type SyscallArguments = [number?, number?, number?, number?, number?];
const rawSyscall: (number: number, ...args: [number, number, number, number, number]) => number = libc.func(
  "syscall",
  "long",
  ["long", "long", "long", "long", "long", "long"],
) as never;
const PIVOT_ROOT = currentArchitecture().syscalls.pivot_root as number;
const SECCOMP = currentArchitecture().syscalls.seccomp as number;
const rawPivotRoot: (number: number, newRoot: string, putOld: string) => number = libc.func("syscall", "long", [
  "long",
  "str",
  "str",
]) as never;

const socketFilterProgram = koffi.struct({ length: "unsigned short", filter: "void *" });
const rawSeccomp: (
  number: number,
  operation: number,
  flags: number,
  program: { length: number; filter: Buffer },
) => number = libc.func("syscall", "long", ["long", "long", "long", koffi.pointer(socketFilterProgram)]) as never;

/** _exit(2): leaves without running anything of the parent's. */
export function exitNow(code: number): never {
  rawExit(code);
  throw new Error("unreachable: _exit returned");
}

/** A sockaddr_un for a path, or for an abstract name that starts with "\0" (unix(7)). Throws RangeError over 107 bytes. */
export function unixAddress(path: string): Buffer {
  const name = Buffer.from(path);
  if (name.length > 107) throw new RangeError(`unix socket path of ${name.length} bytes, at most 107: ${path}`);
  const abstract = path.startsWith("\0");
  const address = Buffer.alloc(2 + name.length + (abstract ? 0 : 1));
  address.writeUInt16LE(1, 0);
  name.copy(address, 2);
  return address;
}
