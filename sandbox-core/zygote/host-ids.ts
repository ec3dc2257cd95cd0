/**
 * Host users for sandboxes. Each zygote claims blocks of 1,024 ids that no other zygote of this
 * machine has. The claim is an abstract unix socket with the block's name (unix(7)), which the
 * kernel frees with the process. An id is used again only when everything of its last sandbox is
 * gone.
 */
import { AF, SOCK } from "../abi/linux.ts";
import { SyscallError } from "../syscall/error.ts";
import { sys } from "../syscall/libc.ts";
import { unixAddress } from "../syscall/sockets.ts";
import { refuseDescriptors } from "../syscall/steps.ts";

const BLOCK = 1024;
/**
 * The number of ids that rest after their use. The holder of a sandbox hears of its end before
 * another has the same id, and a group of the same name.
 */
const RESTING = 64;

export class HostIds {
  /** The abstract socket by which a block of it is claimed. */
  readonly socketName: string;
  readonly #range: { uidBase: number; uidCount: number };
  readonly #claim: (name: string) => boolean;
  readonly #free: number[] = [];

  /**
   * Ids out of `uidBase` and the `uidCount` from there on.
   * @param claim makes a block's name this process's, unless it is somebody's already
   * @throws Error when every block is claimed
   */
  constructor(range: { uidBase: number; uidCount: number }, claim = bindName) {
    this.#range = range;
    this.#claim = claim;
    this.#grow();
    this.socketName = socketName(this.#free[0] as number);
  }

  /**
   * An id that nothing alive has: the one that was given back longest ago.
   * @throws Error when all others are in use
   */
  take(): number {
    if (this.#free.length <= RESTING) this.#grow();
    return this.#free.shift() as number;
  }

  /** Gives an id back; only when every process and file of its sandbox is gone. */
  giveBack(id: number): void {
    this.#free.push(id);
  }

  #grow(): void {
    const { uidBase, uidCount } = this.#range;
    const end = uidBase + uidCount;
    let first = uidBase;
    while (first + BLOCK <= end && !this.#claim(socketName(first))) first += BLOCK;
    if (first + BLOCK > end)
      throw new Error(`no free block of ${BLOCK} uids from ${uidBase} to ${end}: give a larger range`);
    for (let id = first; id < first + BLOCK; id++) this.#free.push(id);
  }
}

/** The abstract socket by which the block is claimed that begins with this id. */
function socketName(first: number): string {
  return `\0sandpiper-ids-${first}`;
}

/** Binds the name for the life of this process; false when it is bound. */
function bindName(name: string): boolean {
  const fd = sys.socket(AF.UNIX, SOCK.DGRAM | SOCK.CLOEXEC, 0);
  const address = unixAddress(name);
  try {
    // A box in the host's network can send to it where Landlock bounds no abstract sockets, and
    // nobody ever reads it.
    refuseDescriptors(fd);
    sys.bind(fd, address, address.length);
    return true;
  } catch (error) {
    sys.close(fd);
    if (error instanceof SyscallError && error.code === "EADDRINUSE") return false;
    throw error;
  }
}
