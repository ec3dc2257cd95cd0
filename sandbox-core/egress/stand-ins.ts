/**
 * Addresses that stand for names in one sandbox: out of 198.18.0.0/15, which nobody's host has. An
 * address stands for one name at a time, and for another only after all others had their turn, so
 * that what a sandbox remembers is never another name.
 */

/** The first two bytes of the block, whose third starts below 2. */
const [FIRST, SECOND] = [198, 18];
/** Addresses in the block, but for the first. */
const COUNT = 2 ** 17 - 1;
/** Most names at once; those that were not looked up for longest lose their address. */
export const MOST_STAND_INS = 512;

export class StandIns {
  /** Names by number, those that were looked up last at the end. */
  readonly #numbers = new Map<string, number>();
  readonly #names = new Map<number, string>();
  #last = 0;

  /** The address of a name, four bytes; the same as before if it has one still. */
  addressOf(name: string): Uint8Array {
    const number = this.#numbers.get(name) ?? this.#add();
    this.#numbers.delete(name);
    this.#numbers.set(name, number);
    this.#names.set(number, name);
    return Uint8Array.of(FIRST, SECOND + (number >> 16), (number >> 8) & 0xff, number & 0xff);
  }

  /** The name that an address stands for, if it stands for one. */
  nameOf(address: string): string | undefined {
    if (!isStandIn(address)) return undefined;
    const [, second = 0, third = 0, fourth = 0] = address.split(".").map(Number);
    return this.#names.get(((second - SECOND) << 16) | (third << 8) | fourth);
  }

  #add(): number {
    if (this.#numbers.size >= MOST_STAND_INS) this.#dropOldest();
    do this.#last = (this.#last % COUNT) + 1;
    while (this.#names.has(this.#last));
    return this.#last;
  }

  #dropOldest(): void {
    const [oldest] = this.#numbers;
    if (!oldest) return;
    this.#numbers.delete(oldest[0]);
    this.#names.delete(oldest[1]);
  }
}

/** Whether an address of version 4 is in the block. */
export function isStandIn(address: string): boolean {
  return address.startsWith("198.18.") || address.startsWith("198.19.");
}
