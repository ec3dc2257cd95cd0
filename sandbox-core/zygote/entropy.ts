/** Fresh randomness of the kernel's, which no fork shares. */
import { closeSync, openSync, readSync } from "node:fs";

const SEED_BYTES = 64;

/**
 * 64 bytes out of /dev/urandom. Not out of node:crypto, whose generator a fork shares with its parent.
 * @throws Error when the device gives less
 */
export function readEntropy(): Buffer {
  const seed = Buffer.alloc(SEED_BYTES);
  const device = openSync("/dev/urandom", "r");
  try {
    if (readSync(device, seed, 0, SEED_BYTES, null) !== SEED_BYTES) throw new Error("/dev/urandom gave too little");
  } finally {
    closeSync(device);
  }
  return seed;
}
