/**
 * Records of calls that ended at this gateway: refused, given up, or left by their client. Redis
 * may be away just then, so records wait here until it takes them, within limits: refusing a call
 * must stay cheap, and recording it waits for nobody.
 */
import type { Redis } from "ioredis";
import type { InvocationRecord } from "../../functions/model/record.ts";
import { recordUnrun } from "../../functions/store/logs.ts";
import { settledWithin } from "../../infra/std/time.ts";
import { type EndedCall, endedHere } from "./watched-call.ts";

/** Most records that wait; of those that come then none is kept. */
const MAX_WAITING = 20_000;
/** Most records in one write, and the pause between two. */
const MAX_PER_WRITE = 512;
const PAUSE_MS = 250;
/** How long closing waits for what is left. */
const CLOSE_MS = 1_000;

export class UnrunRecords {
  readonly #redis: Redis;
  readonly #onDropped: () => void;
  #waiting: InvocationRecord[] = [];
  #timer: NodeJS.Timeout | null = null;

  /**
   * @param redis fails at once while Redis is away.
   * @param onDropped told of each call that cannot be recorded.
   */
  constructor(redis: Redis, onDropped: () => void) {
    this.#redis = redis;
    this.#onDropped = onDropped;
  }

  /** Records a call if no worker will. */
  note(call: EndedCall): void {
    if (!endedHere(call) || call.named === null) return;
    if (this.#waiting.length >= MAX_WAITING) {
      this.#onDropped();
      return;
    }
    this.#waiting.push(recordOf(call, call.named));
    this.#timer ??= setTimeout(() => void this.#write(), PAUSE_MS).unref();
  }

  /** Writes what waits, unless Redis is away. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    await settledWithin(CLOSE_MS, this.#writeSome(this.#waiting.length));
  }

  async #write(): Promise<void> {
    await this.#writeSome(MAX_PER_WRITE);
    this.#timer = this.#waiting.length > 0 ? setTimeout(() => void this.#write(), PAUSE_MS).unref() : null;
  }

  /** Never rejects: what was not written waits on. A record that is written twice counts once. */
  async #writeSome(count: number): Promise<void> {
    if (this.#redis.status !== "ready") return;
    const records = this.#waiting.splice(0, count);
    const written = await Promise.allSettled(records.map((record) => recordUnrun(this.#redis, record)));
    const left = records.filter((_record, at) => written[at]?.status === "rejected");
    this.#waiting.unshift(...left);
  }
}

function recordOf(call: EndedCall, { tenant, functionName }: NonNullable<EndedCall["named"]>): InvocationRecord {
  const { id, invocation, isSubmitted, status, outcome, error, startedAtMs, tookMs } = call;
  const endedAtMs = Math.round(startedAtMs + tookMs);
  const queueMs = invocation !== null && isSubmitted ? Math.max(0, endedAtMs - invocation.enqueuedAtMs) : 0;
  const isCancelled = outcome === "cancelled" || error?.code === "CLIENT_GONE";
  return {
    ...{ id, tenant, functionName, version: invocation?.version ?? "" },
    outcome: isCancelled ? "cancelled" : "platform_error",
    ...(error && { error: { code: error.code, message: error.message } }),
    status,
    ran: isSubmitted && error?.code !== "CALL_QUOTA" ? "unknown" : "no",
    timing: { queueMs, sandboxMs: 0, initMs: 0, handlerMs: 0 },
    cpuMs: 0,
    peakMemoryBytes: 0,
    startedAtMs,
    endedAtMs,
  };
}
