/**
 * Fresh randomness of the kernel's, which no fork shares. Each fork feeds OpenSSL and Math.random
 * with it (runtime/random.ts). A zygote itself never draws a value from the caches that Node keeps,
 * as every fork would draw the same.
 */
import { sys } from "../syscall/libc.ts";

/**
 * Bytes of getrandom(2), at most 256: so many come whole. Not out of node:crypto, whose generator a
 * fork shares with its parent.
 * @throws SyscallError
 */
export function readEntropy(bytes: number): Buffer {
  const entropy = Buffer.alloc(bytes);
  sys.getrandom(entropy, bytes, 0);
  return entropy;
}
