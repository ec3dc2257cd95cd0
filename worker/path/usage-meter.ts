/**
 * Counts what functions use, and gives it to Redis every two seconds. A call costs a look into two
 * maps and some additions. A worker that is killed loses what it counted since it wrote last.
 */
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { HOUR_MS, type HourUsage, hourOf, noUsage, type UsageCounts } from "../../functions/model/usage.ts";
import { linkOf } from "../../functions/redis/link.ts";
import type { FunctionRef } from "../../functions/store/function-keys.ts";
import { addUsage, type UsageBatch } from "../../functions/store/usage.ts";

const WRITE_MS = 2_000;
/** Most functions in one batch: Redis does nothing else meanwhile. */
const MAX_FUNCTIONS_PER_BATCH = 200;

export interface UsageMeterOptions {
  redis: Redis;
  /** How long usage is kept after its hour. */
  keepMs: number;
  onTrouble(message: string, cause?: unknown): void;
}

export class UsageMeter {
  readonly #options: UsageMeterOptions;
  readonly #clock;
  readonly #writer = randomUUID();
  #hourMs = 0;
  /** The hour's counts since they were taken last, by tenant and function. */
  #open = new Map<string, Map<string, UsageCounts>>();
  /** Usage that is not in a batch yet. */
  #closed: HourUsage[] = [];
  /** Batches that Redis has not taken, in order. */
  #batches: UsageBatch[] = [];
  #lastNumber = 0;
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> | null = null;

  constructor(options: UsageMeterOptions) {
    this.#options = options;
    this.#clock = linkOf(options.redis).clock;
  }

  /** Counts a call that has ended, in the hour in which it did so by Redis's clock. */
  count({ tenant, functionName }: FunctionRef, used: Omit<UsageCounts, "calls">): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs < this.#hourMs || nowMs >= this.#hourMs + HOUR_MS) this.#beginHour(hourOf(nowMs));
    const counts = this.#open.get(tenant)?.get(functionName) ?? this.#newCounts(tenant, functionName);
    counts.calls += 1;
    counts.cpuUs += used.cpuUs;
    counts.memoryMibMs += used.memoryMibMs;
    counts.bytesIn += used.bytesIn;
    counts.bytesOut += used.bytesOut;
    this.#timer ??= setTimeout(() => void this.write(), WRITE_MS).unref();
  }

  /** Gives Redis what was counted. Never rejects: what Redis did not take is written later. */
  async write(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#beginHour(this.#hourMs);
    while (this.#closed.length > 0) {
      this.#lastNumber += 1;
      this.#batches.push({ number: this.#lastNumber, usage: this.#closed.splice(0, MAX_FUNCTIONS_PER_BATCH) });
    }
    this.#writing = this.#send();
    await this.#writing;
    this.#writing = null;
    if (this.#batches.length > 0) this.#timer ??= setTimeout(() => void this.write(), WRITE_MS).unref();
  }

  /** Sends batches, each when the one before is written: their numbers say which ones are. */
  async #send(): Promise<void> {
    const { redis, keepMs, onTrouble } = this.#options;
    try {
      for (let batch = this.#batches[0]; batch !== undefined; batch = this.#batches[0]) {
        await addUsage(redis, this.#writer, batch, keepMs);
        this.#batches.shift();
      }
    } catch (error) {
      onTrouble("what functions used could not be written; it will be tried again", error);
    }
  }

  #newCounts(tenant: string, functionName: string): UsageCounts {
    const functions = this.#open.get(tenant) ?? new Map<string, UsageCounts>();
    const counts = noUsage();
    functions.set(functionName, counts);
    this.#open.set(tenant, functions);
    return counts;
  }

  #beginHour(hourMs: number): void {
    for (const [tenant, functions] of this.#open)
      for (const [functionName, counts] of functions)
        this.#closed.push({ tenant, functionName, hourMs: this.#hourMs, counts });
    this.#open = new Map();
    this.#hourMs = hourMs;
  }
}
