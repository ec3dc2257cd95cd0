/** What a client knows of its calls. */
import type { Answer } from "./client.ts";
import { KINDS, type KindName } from "./kinds.ts";

/** Times are of `monotonicMs`. */
export interface Call {
  id: string;
  kind: KindName;
  /** When it was to be sent: a late sender's delay counts as the call's. */
  dueMs: number;
  /** When it was answered; null until then. */
  endMs: number | null;
  /** `right`; `wrong`, a good answer to another question; an error's code; null until it ended. */
  verdict: string | null;
}

export class Ledger {
  readonly #name: string;
  readonly #calls = new Map<string, Call>();

  /** @param name what ids begin with: they are unlike those of other ledgers */
  constructor(name: string) {
    this.#name = name;
  }

  open(kind: KindName, dueMs: number): Call {
    const call: Call = { id: `${this.#name}-${this.#calls.size}`, kind, dueMs, endMs: null, verdict: null };
    this.#calls.set(call.id, call);
    return call;
  }

  close(call: Call, answer: Answer, endMs: number): void {
    call.endMs = endMs;
    call.verdict = KINDS[call.kind].isRight(call.id, answer) ? "right" : (answer.code ?? "wrong");
  }

  get calls(): readonly Call[] {
    return [...this.#calls.values()];
  }

  /** Whether a call of this kind was sent and has no answer yet. */
  isOpen(id: string, kind: KindName): boolean {
    const call = this.#calls.get(id);
    return call?.kind === kind && call.endMs === null;
  }
}

/** How much longer a call took than the function itself waits. */
export function delayMs({ kind, dueMs, endMs }: Call): number {
  return endMs === null ? Number.POSITIVE_INFINITY : Math.max(0, endMs - dueMs - KINDS[kind].ownMs);
}
