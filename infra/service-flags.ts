/**
 * Flags of the Node that a gateway or a worker runs on, whoever starts it; the units in deploy/
 * have them as well.
 */

/**
 * MiB of V8's young generation, of which there are two halves. A call makes some 20 KiB of objects
 * that are garbage soon. At Node's own size, which begins at 1 MiB, they are looked through so
 * often that many still live, and are copied: a tenth of a busy service's time.
 */
const YOUNG_MIB = 32;

export const SERVICE_NODE_FLAGS: readonly string[] = [
  `--min-semi-space-size=${YOUNG_MIB}`,
  `--max-semi-space-size=${YOUNG_MIB}`,
];
