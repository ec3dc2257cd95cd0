/** Open-loop load: calls at a fixed rate, however slowly they are answered. */
import type { Client } from "./client.ts";
import { KINDS, type Mix } from "./kinds.ts";
import type { Ledger } from "./ledger.ts";
import { type Random, weighted } from "./random.ts";
import { monotonicMs } from "./time.ts";

export interface LoadOptions {
  client: Client;
  ledger: Ledger;
  random: Random;
  mix: Mix;
  /** Calls a second. */
  rate: number;
}

export class Load {
  readonly #options: LoadOptions;
  readonly #startMs = monotonicMs();
  readonly #open = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #count = 0;

  /** Begins at once. */
  constructor(options: LoadOptions) {
    this.#options = options;
    this.#sendDue();
  }

  /** Sends nothing any more; resolves when all calls have ended. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await Promise.all(this.#open);
  }

  #sendDue(): void {
    for (let dueMs = this.#dueMs(); dueMs <= monotonicMs(); dueMs = this.#dueMs()) {
      this.#count += 1;
      const sending = this.#send(dueMs).finally(() => this.#open.delete(sending));
      this.#open.add(sending);
    }
    this.#timer = setTimeout(() => this.#sendDue(), Math.max(0, this.#dueMs() - monotonicMs()));
  }

  #dueMs(): number {
    return this.#startMs + (this.#count * 1_000) / this.#options.rate;
  }

  async #send(dueMs: number): Promise<void> {
    const { client, ledger, random, mix } = this.#options;
    const kind = weighted(random, mix);
    const call = ledger.open(kind, dueMs);
    const answer = await client.send(KINDS[kind].send(call.id));
    ledger.close(call, answer, monotonicMs());
  }
}
