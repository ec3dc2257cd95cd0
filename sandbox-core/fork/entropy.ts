/**
 * Fresh randomness of the kernel's, which no fork shares. Each fork feeds OpenSSL and Math.random
 * with it (runtime/random.ts). A zygote itself never draws a value from the caches that Node keeps,
 * as every fork would draw the same.
 */
import { sys } from "../syscall/libc.ts";

/**
 * Reads from getrandom(2), at most 256 bytes, which always come whole. The generator of node:crypto
 * would not do: a fork shares it with its parent.
 * @throws SyscallError
 */
export function readEntropy(bytes: number): Buffer {
  const entropy = Buffer.alloc(bytes);
  sys.getrandom(entropy, bytes, 0);
  return entropy;
}
