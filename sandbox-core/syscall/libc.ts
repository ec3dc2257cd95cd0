/**
 * System calls as typed functions. Each is bound once, takes plain numbers, strings and buffers,
 * and throws a SyscallError with the call's name. koffi accepts a wrong argument silently, so the
 * full C prototypes and the TypeScript types beside them are the only guard: change both together.
 * A file for each subject has them.
 */
import koffi from "koffi";
import { checked } from "./checked.ts";
import { SyscallError } from "./error.ts";
import { fileCalls } from "./files.ts";
import { namespaceCalls } from "./namespaces.ts";
import { privilegeCalls } from "./privileges.ts";
import { processCalls } from "./processes.ts";
import { socketCalls } from "./sockets.ts";

const libc = koffi.load("libc.so.6");

type GetRandom = (to: Buffer, size: number, flags: number) => number;
type SyscallArguments = [number?, number?, number?, number?, number?];
const rawSyscall: (number: number, ...args: [number, number, number, number, number]) => number = libc.func(
  "syscall",
  "long",
  ["long", "long", "long", "long", "long", "long"],
) as never;
const rawExit: (code: number) => never = libc.func("void _exit(int code)") as never;

/**
 * The calls. All of ours go through this one object, whose members are looked up at each call: a
 * test that has a zygote load a module first can put its own in place, to record calls and to have
 * them fail (test/helpers/fault-module.ts).
 */
export const sys = {
  ...fileCalls,
  ...namespaceCalls,
  ...privilegeCalls,
  ...processCalls,
  ...socketCalls,
  getrandom: checked("getrandom", libc.func("long getrandom(void *to, size_t size, unsigned int flags)") as GetRandom),
  /** syscall(2), for calls that the C library does not wrap; `name` is for the error alone. */
  syscall: (name: string, number: number, ...args: SyscallArguments): number => {
    const result = rawSyscall(number, args[0] ?? 0, args[1] ?? 0, args[2] ?? 0, args[3] ?? 0, args[4] ?? 0);
    if (result === -1) {
      const errno = koffi.errno();
      throw new SyscallError(name, errno);
    }
    return result;
  },
};

/** _exit(2): leaves without running anything of the parent's. */
export function exitNow(code: number): never {
  rawExit(code);
  throw new Error("unreachable: _exit returned");
}
