/** Functions of the libraries that are linked into the node binary, which exports them. */
import koffi from "koffi";

const self = koffi.load(null);
const uvDefaultLoop: () => unknown = self.func("void *uv_default_loop()");
const uvLoopFork: (loop: unknown) => number = self.func("int uv_loop_fork(void *loop)");
const randSeed: (bytes: Buffer, length: number) => void = self.func("void RAND_seed(const void *bytes, int length)");

/**
 * Gives libuv's loop a life of its own in a forked child: uv_loop_fork of libuv's API
 * documentation.
 * @throws Error with libuv's number
 */
export function renewEventLoop(): void {
  const result = uvLoopFork(uvDefaultLoop());
  if (result !== 0) throw new Error(`uv_loop_fork failed: ${result}`);
}

/**
 * Mixes fresh entropy into OpenSSL's generator, which a fork shares with its parent (RAND_add(3)).
 */
export function seedOpenssl(entropy: Buffer): void {
  randSeed(entropy, entropy.length);
}
