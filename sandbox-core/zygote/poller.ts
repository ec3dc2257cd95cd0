/** epoll(7) for a process that waits in a blocking call instead of an event loop. */
import { currentArchitecture } from "../abi/arch.ts";
import { EPOLL, O } from "../abi/linux.ts";
import { SyscallError } from "../syscall/error.ts";
import { sys } from "../syscall/libc.ts";

const MOST_EVENTS = 64;
const { bytes: EVENT_BYTES, dataOffset: DATA_OFFSET } = currentArchitecture().epollEvent;

export class Poller {
  readonly #epoll = sys.epollCreate(O.CLOEXEC);
  readonly #events = Buffer.alloc(MOST_EVENTS * EVENT_BYTES);

  add(fd: number): void {
    const event = Buffer.alloc(EVENT_BYTES);
    event.writeUInt32LE(EPOLL.IN, 0);
    event.writeInt32LE(fd, DATA_OFFSET);
    sys.epollControl(this.#epoll, EPOLL.CTL_ADD, fd, event);
  }

  remove(fd: number): void {
    sys.epollControl(this.#epoll, EPOLL.CTL_DEL, fd, null);
  }

  /**
   * The descriptors that can be read or have ended; blocks until there is one, or for `timeoutMs`.
   */
  wait(timeoutMs: number): number[] {
    try {
      const count = sys.epollWait(this.#epoll, this.#events, MOST_EVENTS, timeoutMs);
      return Array.from({ length: count }, (_, index) => this.#events.readInt32LE(index * EVENT_BYTES + DATA_OFFSET));
    } catch (error) {
      if (error instanceof SyscallError && error.code === "EINTR") return [];
      throw error;
    }
  }
}
