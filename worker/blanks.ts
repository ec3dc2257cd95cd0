/** Blank sandboxes, made ahead of the calls that will need them and never in the way of those that run. */
import type { Box, Boxes } from "./boxes.ts";

export interface BlanksOptions {
  boxes: Boxes;
  /** How many to keep of a memory class. */
  wanted(memoryMiB: number): number;
  /** Nothing runs or waits: a good moment. */
  isCalm(): boolean;
  /** A call waits for a sandbox: a bad moment. */
  isShort(): boolean;
  /** One more is ready. It calls `refill` when the next may be made. */
  onReady(): void;
  onTrouble(message: string, cause: unknown): void;
}

/** A worker that is never calm refills after this time nevertheless: else its cold calls stay cold. */
const PATIENCE_MS = 25;
/** After a failure, before the next attempt. */
const RETRY_MS = 1_000;

/** Keeps a number of blank sandboxes of every memory class in use. One is made at a time. */
export class Blanks {
  readonly #options: BlanksOptions;
  readonly #byClass = new Map<number, Box[]>();
  #making: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: BlanksOptions) {
    this.#options = options;
  }

  /** Keeps sandboxes of this class from now on. */
  use(memoryMiB: number): void {
    if (!this.#byClass.has(memoryMiB)) this.#byClass.set(memoryMiB, []);
  }

  /** The one that was made last, or undefined. */
  take(memoryMiB: number): Box | undefined {
    return this.#byClass.get(memoryMiB)?.pop();
  }

  /** One of any class, to make room: of the class that has most. */
  takeAny(): Box | undefined {
    const [most] = [...this.#byClass.values()].sort((a, b) => b.length - a.length);
    return most?.pop();
  }

  /** Those that should make way for forks of a newer zygote. */
  takeOutdated(): Box[] {
    return [...this.#byClass.values()].flatMap((boxes) => {
      const outdated = boxes.filter(({ sandbox }) => sandbox.outdated);
      for (const box of outdated) boxes.splice(boxes.indexOf(box), 1);
      return outdated;
    });
  }

  /** Forgets one that ended by itself. */
  drop(box: Box): void {
    const boxes = this.#byClass.get(box.memoryMiB);
    const index = boxes?.indexOf(box) ?? -1;
    if (index >= 0) boxes?.splice(index, 1);
  }

  get count(): number {
    let count = 0;
    for (const boxes of this.#byClass.values()) count += boxes.length;
    return count;
  }

  /** Makes what is missing as soon as it is in nobody's way. Cheap: call it after whatever may have changed that. */
  refill(): void {
    if (this.#closed || this.#making !== null || this.#missing() === undefined) return;
    if (this.#options.isCalm()) this.#fill();
    else this.#later(PATIENCE_MS);
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
    const memoryMiB = this.#missing();
    if (this.#closed || this.#making !== null || memoryMiB === undefined || this.#options.isShort()) return;
    if (!this.#options.boxes.reserve(memoryMiB)) return;
    this.#making = this.#make(memoryMiB);
  }

  async #make(memoryMiB: number): Promise<void> {
    try {
      const box = await this.#options.boxes.open(memoryMiB);
      if (!box.ending) this.#byClass.get(memoryMiB)?.push(box);
      this.#making = null;
      this.#options.onReady();
    } catch (error) {
      this.#making = null;
      if (this.#closed) return;
      this.#options.onTrouble("a blank sandbox could not be made", error);
      this.#later(RETRY_MS);
    }
  }

  #missing(): number | undefined {
    for (const [memoryMiB, boxes] of this.#byClass)
      if (boxes.length < this.#options.wanted(memoryMiB)) return memoryMiB;
    return undefined;
  }

  #later(delayMs: number): void {
    this.#timer ??= setTimeout(() => this.#fill(), delayMs).unref();
  }
}
