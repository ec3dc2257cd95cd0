/** Ends connections whose other end has fallen silent, as TCP would only after minutes. */
import { Socket } from "node:net";
import type { Redis } from "ioredis";
import { MIB } from "../../infra/std/bytes.ts";

/** Time between two looks at a connection. */
export const SILENCE_LOOK_MS = 500;
const LOOKS_PER_SECOND = 1_000 / SILENCE_LOOK_MS;
/** Looks in a row without a byte while an answer is due: for doubt, and for the end. */
const DOUBT_LOOKS = LOOKS_PER_SECOND;
const SILENT_LOOKS = 3 * LOOKS_PER_SECOND;
/** Bytes of commands that may take longer than a moment. */
const LONG_BYTES = MIB;

/**
 * A connection is asked for a sign of life when nothing else is asked of it. Silence is counted in
 * looks and not by the clock: a process that got no processor has not heard, and yet nobody was
 * silent.
 */
export class SilenceWatch {
  readonly #redis: Redis;
  /** Looks for which an answer may rightly keep one waiting. */
  readonly #waitLooks: number;
  #stream: Socket | undefined;
  #bytesRead = 0;
  #bytesWritten = 0;
  #looks = 0;
  /** Bytes that had been written at the look before the silence. */
  #writtenBefore = 0;

  /** @param waitSeconds for how long an answer may rightly keep one waiting. */
  constructor(redis: Redis, waitSeconds = 0) {
    this.#redis = redis;
    this.#waitLooks = waitSeconds * LOOKS_PER_SECOND;
  }

  /** Whether the connection stands, and no answer is overdue. */
  get answers(): boolean {
    return this.#redis.status === "ready" && (this.#looks < DOUBT_LOOKS || this.#waitLooks > 0);
  }

  /**
   * Whether an answer is so late that the connection may be dead. Redis answers nothing behind a
   * long command before it has all of that, which takes a while over a slow network.
   */
  get isDoubtful(): boolean {
    const sentBytes = (this.#stream?.bytesWritten ?? 0) - this.#writtenBefore;
    return this.#looks >= this.#waitLooks + DOUBT_LOOKS && sentBytes < LONG_BYTES;
  }

  /** Call it every `SILENCE_LOOK_MS`. */
  look(): void {
    const { status, stream, commandQueue } = this.#redis;
    const isOpen = stream !== undefined && !stream.destroyed && (status === "connect" || status === "ready");
    const isAsked = isOpen && commandQueue.length > 0;
    const isSilent = isAsked && !this.#hasSpoken(stream);
    if (!isSilent) this.#writtenBefore = stream === this.#stream ? this.#bytesWritten : 0;
    this.#looks = isSilent ? this.#looks + 1 : 0;
    this.#stream = stream;
    this.#bytesRead = stream?.bytesRead ?? 0;
    this.#bytesWritten = stream?.bytesWritten ?? 0;
    const mostLooks = this.#waitLooks + SILENT_LOOKS;
    if (this.#looks >= mostLooks) this.#end(stream, `Redis was silent for ${mostLooks / LOOKS_PER_SECOND} s`);
    // A sign of life during the handshake is the handshake.
    else if (isOpen && !isAsked && status === "ready") this.#redis.ping().catch(() => {});
  }

  /** Ends a connection that is still silent although Redis has answered on one that is newer. */
  answeredElsewhere(): void {
    const { stream } = this.#redis;
    if (!this.isDoubtful || stream === undefined || stream.destroyed || this.#hasSpoken(stream)) return;
    this.#end(stream, "Redis answers, but not over this connection: the network has lost it");
  }

  #hasSpoken(stream: Socket | undefined): boolean {
    return stream !== this.#stream || stream?.bytesRead !== this.#bytesRead;
  }

  /**
   * A reset, so that the kernel does not send later what waits to be sent: Redis would still take
   * it, and give a job to nobody.
   */
  #end(stream: Socket, why: string): void {
    this.#looks = 0;
    this.#redis.emit("error", new Error(why));
    // A socket of TLS has no reset.
    if (stream.constructor === Socket) stream.resetAndDestroy();
    else stream.destroy();
  }
}
