/**
 * The renewal of a forked process, a zygote's or a template's: nothing renewed here may be shared
 * with the parent.
 */
import { SIG_IGN, SIGCHLD } from "../abi/linux.ts";
import { ENTROPY_BYTES, renewRandomness } from "../runtime/random.ts";
import { sys } from "../syscall/libc.ts";
import { renewEventLoop, seedOpenssl } from "../syscall/node.ts";
import { readEntropy } from "./entropy.ts";

export const OPENSSL_SEED_BYTES = 64;

/**
 * Gives a fork a loop and random values of its own, and has the kernel collect its children by
 * itself (wait(2)).
 * @throws Error
 */
export function renewProcess(): void {
  sys.signal(SIGCHLD, SIG_IGN);
  renewEventLoop();
  const entropy = readEntropy(OPENSSL_SEED_BYTES + ENTROPY_BYTES);
  seedOpenssl(entropy.subarray(0, OPENSSL_SEED_BYTES));
  renewRandomness(entropy.subarray(OPENSSL_SEED_BYTES));
}
