/**
 * The latest calls: what was asked, which the front knows, and what was logged, which comes a
 * moment later by the function's log.
 */
import { LruMap } from "../../../infra/std/lru.ts";
import { settledWithin } from "../../../infra/std/time.ts";
import type { InvocationRecord, LogRecord } from "../../model/record.ts";

/** A request as the front saw it. */
export interface SeenRequest {
  method: string;
  path: string;
  status: number;
}

export interface CallStory {
  request: SeenRequest | null;
  lines: LogRecord[];
  end: InvocationRecord | null;
}

interface Entry extends CallStory {
  seen: PromiseWithResolvers<void>;
  ended: PromiseWithResolvers<void>;
}

const MOST_CALLS = 200;
const MOST_LINES = 100;

export class CallStories {
  readonly #entries = new LruMap<string, Entry>(MOST_CALLS);

  /** The front has the head of a call's answer. */
  answered(id: string, request: SeenRequest): void {
    const entry = this.#entry(id);
    entry.request = request;
    entry.seen.resolve();
  }

  logged(line: LogRecord): void {
    if (line.invocationId === null) return;
    const { lines } = this.#entry(line.invocationId);
    if (lines.length < MOST_LINES) lines.push(line);
  }

  ended(end: InvocationRecord): void {
    const entry = this.#entry(end.id);
    entry.end = end;
    // Nobody asks what led to an answer that is right.
    if (end.outcome === "ok") entry.lines = [];
    entry.ended.resolve();
  }

  /** Facts about a call as soon as the front knows them, and after that time in any case. */
  async whenSeen(id: string, withinMs: number): Promise<CallStory> {
    const entry = this.#entry(id);
    await settledWithin(withinMs, entry.seen.promise);
    return entry;
  }

  /** Facts about a call as soon as its log is whole, and after that time in any case. */
  async whenEnded(id: string, withinMs: number): Promise<CallStory> {
    const entry = this.#entry(id);
    await settledWithin(withinMs, entry.ended.promise);
    return entry;
  }

  #entry(id: string): Entry {
    let entry = this.#entries.get(id);
    if (entry === undefined) {
      const promises = { seen: Promise.withResolvers<void>(), ended: Promise.withResolvers<void>() };
      entry = { request: null, lines: [], end: null, ...promises };
      this.#entries.set(id, entry);
    }
    return entry;
  }
}
