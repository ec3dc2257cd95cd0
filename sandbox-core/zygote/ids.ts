/**
 * Host users for sandboxes. Each zygote claims a block of ids that no other zygote of this machine has: it binds an
 * abstract unix socket that carries the block's name (unix(7)), which the kernel frees with the process.
 */
import { AF, SOCK } from "../abi/linux.ts";
import { SyscallError } from "../syscall/error.ts";
import { sys, unixAddress } from "../syscall/libc.ts";

const BLOCK = 1024;
/**
 * So many ids rest after their use: who holds the last sandbox that had one hears of its end before there is another, whose
 * group has the same name.
 */
const RESTING = 64;

export class IdBlock {
  /** The abstract socket by which the block is claimed. */
  readonly socketName: string;
  readonly #free: number[];

  constructor(first: number, count: number, socketName: string) {
    this.socketName = socketName;
    this.#free = Array.from({ length: count }, (_, index) => first + index);
  }

  /** An id that nothing alive has: the one that was given back longest ago. @throws Error when all others are in use */
  take(): number {
    if (this.#free.length <= RESTING) throw new Error("every host uid of this zygote is in use");
    return this.#free.shift() as number;
  }

  /** Gives an id back; only when every process and file of its sandbox is gone. */
  giveBack(id: number): void {
    this.#free.push(id);
  }
}

/**
 * Claims a block out of `uidBase` and the `uidCount` ids from there on.
 * @throws Error when every block is claimed
 */
export function claimIds(uidBase: number, uidCount: number): IdBlock {
  for (let first = uidBase; first + BLOCK <= uidBase + uidCount; first += BLOCK) {
    const name = `\0sandpiper-ids-${first}`;
    if (claim(name)) return new IdBlock(first, BLOCK, name);
  }
  throw new Error(`no free block of ${BLOCK} uids from ${uidBase} to ${uidBase + uidCount}: give a larger range`);
}

/** Binds the name for the life of this process; false when another has it. */
function claim(name: string): boolean {
  const fd = sys.socket(AF.UNIX, SOCK.DGRAM | SOCK.CLOEXEC, 0);
  const address = unixAddress(name);
  try {
    sys.bind(fd, address, address.length);
    return true;
  } catch (error) {
    sys.close(fd);
    if (error instanceof SyscallError && error.code === "EADDRINUSE") return false;
    throw error;
  }
}
