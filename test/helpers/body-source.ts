/** A body of a request in the hands of a test. */
import type { BodySource } from "../../functions/transport/body-source.ts";

/** A body that comes as the test says. */
export class Source implements BodySource {
  isDropped = false;
  /** Bytes that were read. */
  taken = 0;
  #end: "end" | "gone" | null = null;
  #here: Buffer[] = [];
  #onChange = () => {};

  get end(): "end" | "gone" | null {
    return this.#here.length === 0 ? this.#end : null;
  }

  read(maxBytes: number): Buffer | null {
    const [first] = this.#here;
    if (first === undefined) return null;
    const piece = first.subarray(0, maxBytes);
    if (piece.length === first.length) this.#here.shift();
    else this.#here[0] = first.subarray(maxBytes);
    this.taken += piece.length;
    return piece;
  }

  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  async collect(): Promise<Buffer | null> {
    while (this.#end === null) {
      await new Promise<void>((resolve) => {
        this.#onChange = resolve;
      });
    }
    return this.#end === "end" ? Buffer.concat(this.#here) : null;
  }

  drop(): void {
    this.isDropped = true;
  }

  add(bytes: Buffer): void {
    this.#here.push(bytes);
    this.#onChange();
  }

  finish(end: "end" | "gone"): void {
    this.#end = end;
    this.#onChange();
  }
}
