/**
 * Something that answers calls: blocks of them, at levels that are told apart by what is asked and
 * how many are in flight.
 */
import type { BenchChild, BlockRequest } from "./child.ts";
import { type Accounts, Ledger } from "./ledger.ts";
import { Samples } from "./stats.ts";

/** The figures of all blocks of one level. */
export interface Level {
  latency: Samples;
  rate: Samples;
  ledger: Ledger;
}

export interface Traffic {
  load: BenchChild;
  accounts: Accounts;
}

export class Contender {
  readonly name: string;
  readonly #traffic: Traffic;
  readonly #levels = new Map<string, Level>();
  /** Why there is nothing of a level. */
  readonly #failures = new Map<string, string>();

  constructor(name: string, traffic: Traffic) {
    this.name = name;
    this.#traffic = traffic;
  }

  at(level: string): Level {
    const already = this.#levels.get(level);
    if (already !== undefined) return already;
    const made = { latency: new Samples(), rate: new Samples(), ledger: new Ledger(this.#traffic.accounts) };
    this.#levels.set(level, made);
    return made;
  }

  /** @throws Error when a call fails */
  async block(level: string, request: BlockRequest, counts: boolean): Promise<void> {
    const { load } = this.#traffic;
    if (!counts) return void (await load.run(request));
    const { latency, rate, ledger } = this.at(level);
    await ledger.during(async () => {
      const { latenciesMs, elapsedMs } = await load.run(request);
      latency.addRound(latenciesMs);
      rate.addRound([(latenciesMs.length / elapsedMs) * 1_000]);
      return latenciesMs.length;
    });
  }

  /**
   * The same of somebody else's program, which is left out of the level from then on when a call
   * fails.
   */
  async tryBlock(level: string, request: BlockRequest, counts: boolean): Promise<void> {
    if (this.#failures.has(level)) return;
    try {
      await this.block(level, request, counts);
    } catch (error) {
      this.#failures.set(level, (error as Error).message);
      // What was measured before it failed says nothing that could be relied on.
      this.#levels.delete(level);
    }
  }

  get failures(): ReadonlyMap<string, string> {
    return this.#failures;
  }
}
