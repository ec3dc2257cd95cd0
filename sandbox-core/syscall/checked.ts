/** A function of the C library's that throws what it could not do. */
import koffi from "koffi";
import { SyscallError } from "./error.ts";

/**
 * The call, which throws a SyscallError with its arguments as `describe` words them. koffi's errno
 * has to be read before anything else runs: any call of Node in between overwrites it.
 */
export function checked<Arguments extends unknown[]>(
  name: string,
  call: (...args: Arguments) => number,
  describe: (...args: Arguments) => string = () => "",
): (...args: Arguments) => number {
  return (...args) => {
    const result = call(...args);
    if (result === -1) {
      const errno = koffi.errno();
      throw new SyscallError(name, errno, describe(...args));
    }
    return result;
  };
}

/** Words a call's first argument. */
export const first = (value: unknown) => String(value);

/** Words a call's first two arguments. */
export const firstTwo = (a: unknown, b: unknown) => `${a}, ${b}`;
