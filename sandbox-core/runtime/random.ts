/**
 * Fresh randomness after a fork. A fork inherits the state of every generator in its zygote, so two
 * sandboxes would draw the same values. The generators of Node 24, and what becomes of each:
 *
 * - Math.random: V8 keeps a generator and a cache of 64 values per context. Neither can be reseeded
 *   from outside, so the function is replaced here.
 * - Math.random of contexts made later (node:vm): seeded by the isolate's own generator, which is
 *   inherited too. The flag --random-seed comes before it and is set here. All contexts that one
 *   sandbox makes then share one seed.
 * - OpenSSL (randomBytes, randomFill, getRandomValues, generateKey, and all TLS): notices a fork
 *   only by its process id, which in a pid namespace is 1 in all of them. The caller reseeds it
 *   with RAND_seed before it calls us.
 * - crypto.randomUUID (and v7) and crypto.randomInt keep random bytes for later calls, and fill
 *   them at the first use. So does undici, for the masks of WebSocket frames, and c-ares, for the
 *   numbers of DNS queries. The boundary of a multipart FormData body comes from crypto.randomInt.
 *   None can be emptied from outside: a zygote must never use them, see warm.ts and its test.
 * - fs.mkdtemp, ports, TLS tickets: drawn from the kernel or OpenSSL at each use.
 * - V8's hash seed and the layout of addresses are fixed per process and shared by all forks of one
 *   zygote. They are no source of values, and no replacement exists.
 *
 * process.hrtime and performance.now read the monotonic clock. They and performance.timeOrigin stay
 * those of the zygote: timeOrigin + now() is the present, and the timings of Node's own
 * (PerformanceEntry) count from the same origin.
 */
import { createHook } from "node:async_hooks";
import { randomInt, randomUUID } from "node:crypto";
import { setFlagsFromString } from "node:v8";

const { imul } = Math;

/**
 * Functions that draw from bytes that Node keeps (lib/internal/crypto/random.js), and how many
 * values one filling gives.
 */
const DRAWING_FROM_CACHES: readonly { draw: () => unknown; values: number }[] = [
  { draw: () => randomUUID(), values: 128 },
  { draw: () => randomInt(2), values: 1024 },
];
const FILLING = "RANDOMBYTESREQUEST";

/** Bytes of entropy that `renewRandomness` takes. */
export const ENTROPY_BYTES = 32;

let isReplaced = false;

/**
 * Gives this process a Math.random of its own, and contexts made later a seed of their own. Done
 * once before a fork, it costs less after it: only the numbers are new then. `entropy` is at least
 * ENTROPY_BYTES from the kernel (getrandom(2)), drawn after the fork, and used for nothing else.
 * @throws RangeError when it is shorter.
 */
export function renewRandomness(entropy: Buffer): void {
  if (entropy.length < ENTROPY_BYTES) throw new RangeError(`renewRandomness needs ${ENTROPY_BYTES} bytes of entropy.`);
  if (!isReplaced) replaceRandom();
  seed(entropy);
  // 0 means "not set", and V8 takes the flag as a signed 32-bit number.
  const contextSeed = entropy.readUInt32LE(16) & 0x7fffffff || 1;
  setFlagsFromString(`--random-seed=${contextSeed}`);
}

/**
 * Uses up what node:crypto keeps for later, so that each fork that is made after this fills it
 * anew: a function may have begun to draw from it while it was loaded. Each filling shows by the
 * request that it makes.
 * @throws Error when none does: this Node is not as it was when this was written
 */
export function spendRandomCaches(): void {
  let fillings = 0;
  const hook = createHook({ init: (_id, type) => void (type === FILLING && fillings++) }).enable();
  try {
    for (const { draw, values } of DRAWING_FROM_CACHES) {
      const before = fillings;
      for (let drawn = 0; fillings === before && drawn <= values; drawn++) draw();
      if (fillings === before) throw new Error("random values are not drawn as they were expected to be");
      for (let drawn = 1; drawn < values; drawn++) draw();
    }
  } finally {
    hook.disable();
  }
}

function replaceRandom(): void {
  isReplaced = true;
  Object.defineProperty(Math, "random", {
    value: nativeLooking(next),
    configurable: true,
    writable: true,
    enumerable: false,
  });
}

/**
 * xoshiro128** by Blackman and Vigna (https://prng.di.unimi.it/xoshiro128starstar.c): 128 bits of
 * state in four 32-bit words, which V8 computes without allocating. Two steps give the 53 bits of a
 * double from 0 up to 1.
 */
let [a, b, c, d] = [0, 0, 0, 1];

function seed(entropy: Buffer): void {
  a = entropy.readInt32LE(0);
  b = entropy.readInt32LE(4);
  c = entropy.readInt32LE(8);
  // The state must not be all zeros; so unlikely that losing one bit of the seed costs nothing.
  d = entropy.readInt32LE(12) | 1;
}

function step(): number {
  const five = imul(b, 5);
  const result = imul((five << 7) | (five >>> 25), 9);
  const shifted = b << 9;
  c ^= a;
  d ^= b;
  b ^= c;
  a ^= d;
  c ^= shifted;
  d = (d << 11) | (d >>> 21);
  return result >>> 0;
}

function next(): number {
  return ((step() >>> 5) * 0x4000000 + (step() >>> 6)) / 0x20000000000000;
}

/**
 * The same function, to the eye "function random() { [native code] }": a bound function prints its
 * body as that.
 */
function nativeLooking(generate: () => number): () => number {
  const bound = generate.bind(undefined);
  Object.defineProperty(bound, "name", { value: "random", configurable: true });
  Object.defineProperty(bound, "toString", { value: () => "function random() { [native code] }", configurable: true });
  return bound;
}
