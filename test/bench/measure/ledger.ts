/** Adds up what calls cost: processor time by process, and Redis commands. */
import type { Redis } from "ioredis";
import type { Cost } from "../run/suite.ts";
import { cpuMs } from "./processes.ts";

export interface Accounts {
  /** Process ids by the name that they are shown under, as they are now. */
  processes(): Record<string, number[]>;
  redis: Redis | null;
}

interface Reading {
  cpuMs: Record<string, number>;
  commands: number;
}

export class Ledger {
  readonly #accounts: Accounts;
  readonly #cpuMs: Record<string, number> = {};
  #commands = 0;
  #calls = 0;

  constructor(accounts: Accounts) {
    this.#accounts = accounts;
  }

  /** Runs a block and adds what it cost. @param block says how many calls it made */
  async during(block: () => Promise<number>): Promise<void> {
    const before = await this.#read();
    const calls = await block();
    const after = await this.#read();
    for (const [name, ms] of Object.entries(after.cpuMs)) {
      this.#cpuMs[name] = (this.#cpuMs[name] ?? 0) + ms - (before.cpuMs[name] ?? 0);
    }
    // The first of the two questions counts itself only when it has been answered.
    this.#commands += after.commands - before.commands - 1;
    this.#calls += calls;
  }

  /** How many calls it has counted. */
  get calls(): number {
    return this.#calls;
  }

  costs(): Omit<Cost, "suite" | "name"> {
    const perCall = (amount: number): number => amount / this.#calls;
    return {
      calls: this.#calls,
      cpuMsPerCall: Object.fromEntries(Object.entries(this.#cpuMs).map(([name, ms]) => [name, perCall(ms)])),
      redisCommandsPerCall: this.#accounts.redis === null ? null : perCall(this.#commands),
    };
  }

  async #read(): Promise<Reading> {
    const info = (await this.#accounts.redis?.info("stats")) ?? "";
    const processes = Object.entries(this.#accounts.processes());
    return {
      cpuMs: Object.fromEntries(
        processes.map(([name, pids]) => [name, pids.reduce((sum, pid) => sum + cpuMs(pid), 0)]),
      ),
      commands: Number(/total_commands_processed:(\d+)/.exec(info)?.[1] ?? 0),
    };
  }
}
