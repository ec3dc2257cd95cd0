/** Ends connections whose other end has fallen silent, as TCP would only after minutes. */
import { Socket } from "node:net";
import type { Redis } from "ioredis";

/** Looks in a row, a second apart, without a byte while an answer is due. */
const SILENT_LOOKS = 3;

/**
 * A connection is asked for a sign of life when nothing else is asked of it. Silence is counted in
 * looks and not by the clock: a process that got no processor has not heard, and yet nobody was
 * silent.
 */
export class SilenceWatch {
  readonly #redis: Redis;
  readonly #mostLooks: number;
  #stream: Socket | undefined;
  #bytes = 0;
  #looks = 0;

  /** @param waitLooks for how many looks an answer may rightly keep one waiting. */
  constructor(redis: Redis, waitLooks = 0) {
    this.#redis = redis;
    this.#mostLooks = SILENT_LOOKS + waitLooks;
  }

  /** Whether the connection stands, and no answer is overdue. */
  get answers(): boolean {
    return this.#redis.status === "ready" && (this.#looks === 0 || this.#mostLooks > SILENT_LOOKS);
  }

  /** Call it once a second. */
  look(): void {
    const { status, stream, commandQueue } = this.#redis;
    const isOpen = stream !== undefined && !stream.destroyed && (status === "connect" || status === "ready");
    const isAsked = isOpen && commandQueue.length > 0;
    const hasSpoken = stream !== this.#stream || stream?.bytesRead !== this.#bytes;
    this.#looks = isAsked && !hasSpoken ? this.#looks + 1 : 0;
    this.#stream = stream;
    this.#bytes = stream?.bytesRead ?? 0;
    if (this.#looks >= this.#mostLooks) this.#end(stream);
    // A sign of life during the handshake is the handshake.
    else if (isOpen && !isAsked && status === "ready") this.#redis.ping().catch(() => {});
  }

  /**
   * A reset, so that the kernel does not send later what waits to be sent: Redis would still take
   * it, and give a job to nobody.
   */
  #end(stream: Socket): void {
    this.#looks = 0;
    this.#redis.emit("error", new Error(`Redis was silent for ${this.#mostLooks} s`));
    // A socket of TLS has no reset.
    if (stream.constructor === Socket) stream.resetAndDestroy();
    else stream.destroy();
  }
}
