/**
 * Blank sandboxes, made ahead of the calls that will need them and never in the way of those that
 * run.
 */

import type { ForkableSandbox } from "../../sandbox-core/index.ts";
import type { Place, Places } from "./places.ts";
import type { ZygoteKey } from "./zygote-key.ts";

export interface PrewarmedOptions {
  places: Places;
  /** How many to keep of a zygote. */
  wanted(zygote: ZygoteKey): number;
  /** Nothing runs or waits: a good moment. */
  isCalm(): boolean;
  /** A call waits for a sandbox: a bad moment. */
  isShort(): boolean;
  /** One more is ready. It calls `refill` when the next may be made. */
  onReady(): void;
  onTrouble(message: string, cause: unknown): void;
}

/** Longest wait for a calm moment: a worker that is never calm would never refill. */
const LONGEST_WAIT_MS = 25;
/** After a failure, before the next attempt. */
const RETRY_MS = 1_000;

type PrewarmedPlace = Place<ForkableSandbox>;

/** The blanks of one zygote. */
interface Stock {
  zygote: ZygoteKey;
  places: PrewarmedPlace[];
  /** When one was last wanted, by `performance.now()`. */
  usedAtMs: number;
}

/** Keeps a number of blank sandboxes of every zygote in use. One is made at a time. */
export class Prewarmed {
  readonly #options: PrewarmedOptions;
  /** By the key of their zygote. */
  readonly #stocks = new Map<string, Stock>();
  #making: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: PrewarmedOptions) {
    this.#options = options;
  }

  /** Keeps sandboxes of this zygote from now on. */
  use(zygote: ZygoteKey): void {
    const { places } = this.#stocks.get(zygote.key) ?? { places: [] };
    this.#stocks.set(zygote.key, { zygote, places, usedAtMs: performance.now() });
  }

  /** Keeps none of this zygote any more, and gives those that there are. */
  forget(key: string): PrewarmedPlace[] {
    const { places } = this.#stocks.get(key) ?? { places: [] };
    this.#stocks.delete(key);
    return places;
  }

  /** The zygotes that nobody has wanted one of since that time (`performance.now()`). */
  unusedSince(timeMs: number): ZygoteKey[] {
    return [...this.#stocks.values()].filter(({ usedAtMs }) => usedAtMs <= timeMs).map(({ zygote }) => zygote);
  }

  /** The one that was made last, or undefined. */
  take(zygote: ZygoteKey): PrewarmedPlace | undefined {
    return this.#stocks.get(zygote.key)?.places.pop();
  }

  /** One of any zygote, to make room: of the one that has most. */
  takeAny(): PrewarmedPlace | undefined {
    const [most] = [...this.#stocks.values()].sort((a, b) => b.places.length - a.places.length);
    return most?.places.pop();
  }

  /** Those that should make way for forks of a newer zygote. */
  takeOutdated(): PrewarmedPlace[] {
    return [...this.#stocks.values()].flatMap(({ places }) => {
      const outdated = places.filter(({ sandbox }) => sandbox.outdated);
      for (const place of outdated) places.splice(places.indexOf(place), 1);
      return outdated;
    });
  }

  has(place: Place): boolean {
    return this.#stocks.get(place.zygote.key)?.places.includes(place as PrewarmedPlace) ?? false;
  }

  /** Forgets one that ended by itself. */
  drop(place: Place): void {
    const places = this.#stocks.get(place.zygote.key)?.places;
    const index = places?.indexOf(place as PrewarmedPlace) ?? -1;
    if (index >= 0) places?.splice(index, 1);
  }

  get count(): number {
    let count = 0;
    for (const { places } of this.#stocks.values()) count += places.length;
    return count;
  }

  /**
   * Makes what is missing as soon as it is in nobody's way. Cheap: call it after whatever may have
   * changed that.
   */
  refill(): void {
    if (this.#closed || this.#making !== null || this.#missing() === undefined) return;
    if (this.#options.isCalm()) this.#fill();
    else this.#later(LONGEST_WAIT_MS);
  }

  /** Resolves when what should be ready is ready, or cannot be made now. */
  async filled(): Promise<void> {
    this.#fill();
    while (this.#making !== null) await this.#making;
  }

  /** Makes no more; resolves when the one that was being made is there or has failed. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#making;
  }

  #fill(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const zygote = this.#missing();
    if (this.#closed || this.#making !== null || zygote === undefined || this.#options.isShort()) return;
    if (!this.#options.places.reserve(zygote.memoryMiB)) return;
    this.#making = this.#make(zygote);
  }

  async #make(zygote: ZygoteKey): Promise<void> {
    try {
      const place = await this.#options.places.open(zygote);
      const stock = this.#stocks.get(zygote.key);
      if (stock === undefined) this.#options.places.end(place, "nobody wants blanks of its kind any more");
      else if (!place.ending) stock.places.push(place);
      this.#making = null;
      this.#options.onReady();
    } catch (error) {
      this.#making = null;
      if (this.#closed) return;
      this.#options.onTrouble("a blank sandbox could not be made", error);
      this.#later(RETRY_MS);
    }
  }

  #missing(): ZygoteKey | undefined {
    for (const { zygote, places } of this.#stocks.values())
      if (places.length < this.#options.wanted(zygote)) return zygote;
    return undefined;
  }

  #later(delayMs: number): void {
    this.#timer ??= setTimeout(() => this.#fill(), delayMs).unref();
  }
}
