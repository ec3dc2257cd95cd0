/** Sharing what is bounded, so that an owner of much never keeps out one of little. */

/** The part that is for owners of little: one of so many. */
const PARTS = 8;
/** Of fewer pieces nothing is kept back: each is too much of what there is. */
const FEW_PIECES = 16;

export interface Taking {
  /** Amounts that the owner has, and wants beside them. */
  own: number;
  want: number;
  /** The amount that all owners have. */
  used: number;
  size: number;
}

/**
 * Whether an owner may take more of something bounded. The last eighth is for those who have less
 * than what stays of it, so an owner of nothing finds something there, however many others want
 * more. Where there are fewer than 16 pieces of the wanted size, nothing is kept back.
 */
export function mayTake({ own, want, used, size }: Taking): boolean {
  const left = size - used - want;
  if (left < 0) return false;
  if (own === 0 || want === 0) return true;
  const pieces = Math.floor(size / want);
  const keptBack = pieces < FEW_PIECES ? 0 : Math.floor(pieces / PARTS) * want;
  return left >= keptBack || own + want <= left;
}

/** Amounts of something that owners have. */
export class Holdings {
  readonly #of = new Map<string, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  of(owner: string): number {
    return this.#of.get(owner) ?? 0;
  }

  /** @param amount less than 0: gives so much back */
  add(owner: string, amount: number): void {
    const now = this.of(owner) + amount;
    this.#total += amount;
    if (now > 0) this.#of.set(owner, now);
    else this.#of.delete(owner);
  }

  /** The amount of each owner who has something. */
  entries(): Iterable<[owner: string, amount: number]> {
    return this.#of;
  }

  clear(): void {
    this.#of.clear();
    this.#total = 0;
  }
}
