/** Tells refusals of one sandbox, no more than its holder can use: the rest is counted. */
import type { EgressEvent } from "../contract/egress.ts";
import { Rate } from "./shares.ts";

const [PER_SECOND, BURST] = [5, 20];
/** A client asks for each kind of address of a name, and tries again. */
const REPEATED_MS = 1_000;

export class Refusals {
  readonly #rate = new Rate(PER_SECOND, BURST);
  readonly #tell: (event: EgressEvent) => void;
  #last = { key: "", atMs: Number.NEGATIVE_INFINITY };
  #untold = 0;

  constructor(tell: (event: EgressEvent) => void) {
    this.#tell = tell;
  }

  tell(event: EgressEvent): void {
    const key = `${event.verdict} ${event.name} ${event.address} ${event.port} ${event.call}`;
    const nowMs = performance.now();
    const isRepeated = key === this.#last.key && nowMs - this.#last.atMs < REPEATED_MS;
    if (isRepeated && event.port === 0) return;
    this.#last = { key, atMs: nowMs };
    if (!this.#rate.tryTake()) {
      this.#untold += 1;
      return;
    }
    this.#tell(this.#untold === 0 ? event : { ...event, untold: this.#untold });
    this.#untold = 0;
  }
}
