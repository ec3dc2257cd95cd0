/**
 * Sockets whose bytes are read into one buffer, the same for all of them, and leave it before the
 * next read: none of a connection's bytes has memory of its own, unless the other side is slow.
 * Otherwise each piece is a new buffer, and most of the relay's time goes to collecting them. Once
 * a read has filled the buffer, what follows goes past it (kernel-pipe.ts).
 */
import { Socket, type SocketConstructorOpts } from "node:net";
import { sys } from "../syscall/libc.ts";
import { spliceOnce } from "./kernel-pipe.ts";
import { isOfTcp } from "./reset.ts";

const READ_BUFFER = Buffer.allocUnsafeSlow(65_536);
/** Reads in a row, after which the other connections have their turn: libuv makes up to 32. */
const READS_IN_A_ROW = 4;
const SPLICES_IN_A_ROW = 4;

export class PassingSocket extends Socket {
  /** Where bytes go; without it they come as events, as those of any socket. */
  #to: PassingSocket | undefined;
  #onBytes: (bytes: number) => boolean = () => true;
  /** Reads that found the buffer full. */
  #fullReads = 0;

  constructor(options: SocketConstructorOpts) {
    super({ ...options, onread: { buffer: READ_BUFFER, callback: (length) => this.#take(length) } });
  }

  /**
   * Has a listener's connection, paused, be one of these instead. Node has no public name for it:
   * `onread` is for those who connect.
   */
  static of(accepted: Socket): PassingSocket {
    const inner = accepted as unknown as { _handle: unknown };
    const options = { handle: inner._handle, pauseOnCreate: true, allowHalfOpen: true };
    const socket = new PassingSocket(options as SocketConstructorOpts);
    inner._handle = null;
    return socket;
  }

  /** A socket by its descriptor, paused. */
  static at(fd: number): PassingSocket {
    return new PassingSocket({ fd, readable: true, writable: true, allowHalfOpen: true }).pause();
  }

  /** -1 once it is closed. Node has no public name for it. */
  get fd(): number {
    return (this as unknown as { _handle: { fd: number } | null })._handle?.fd ?? -1;
  }

  /**
   * Passes its bytes on, at the pace of the other side.
   * @param onBytes told of bytes before; false when they may not pass, and both have been ended
   */
  passTo(to: PassingSocket, onBytes: (bytes: number) => boolean): void {
    this.#onBytes = onBytes;
    this.#to = to;
    this.resume();
  }

  /** False when no more is to be read until all that was has been written. */
  #take(length: number): boolean {
    const to = this.#to;
    if (to === undefined) return this.push(Buffer.from(READ_BUFFER.subarray(0, length)));
    if (!this.#onBytes(length) || to.destroyed) return true;
    const sent = to.writableLength === 0 ? sys.sendNow(to.fd, READ_BUFFER, length) : 0;
    if (sent < length) return this.#waitFor(to, Buffer.from(READ_BUFFER.subarray(sent, length)));
    return length < READ_BUFFER.length || (isOfTcp(this) && isOfTcp(to) ? this.#splice(to) : this.#mayReadOn());
  }

  /** Whatever is wrong with the other side, writing to it meets that as well. */
  #waitFor(to: PassingSocket, rest: Buffer): boolean {
    to.write(rest, () => this.resume());
    return false;
  }

  /**
   * The same as `#take` of what comes behind a full buffer, while it comes in pieces that are as
   * large: small ones would keep more memory of the kernel's than they have bytes. Then others have
   * their turn.
   */
  #splice(to: PassingSocket): boolean {
    try {
      for (let turn = 0; turn < SPLICES_IN_A_ROW; turn++) {
        const { count, left } = spliceOnce(this.fd, to.fd, (bytes) => this.#onBytes(bytes) && !to.destroyed);
        if (left) return this.#waitFor(to, left);
        if (count < READ_BUFFER.length) break;
      }
    } catch (error) {
      this.destroy(error as Error);
      return false;
    }
    setImmediate(() => this.resume());
    return false;
  }

  /** False when others have their turn before it reads again. */
  #mayReadOn(): boolean {
    this.#fullReads = (this.#fullReads + 1) % READS_IN_A_ROW;
    if (this.#fullReads > 0) return true;
    setImmediate(() => this.resume());
    return false;
  }
}
