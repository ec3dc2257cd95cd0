/** Shares the figures of a sandbox out among the calls of its instance. */

import type { Sandbox } from "../../sandbox-core/index.ts";
import type { Call, Usage } from "./call.ts";

export class CallMeter {
  readonly #sandbox: Sandbox;
  /** Calls that ended since the figures were read. */
  #ended: Call[] = [];
  #cpuMsBefore = 0;

  constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
  }

  /** Resources used since a call ended last, and the most memory that any call has used. */
  usage(): Usage {
    const { cpuMs, peakMemoryBytes } = this.#sandbox.usage();
    return { cpuMs: roundMs(cpuMs - this.#cpuMsBefore), peakMemoryBytes };
  }

  /** The same; and no later call is charged for them. */
  read(): Usage {
    const usage = this.usage();
    this.#cpuMsBefore += usage.cpuMs;
    return usage;
  }

  /** Settles a call that has ended after this turn: the replies that came in it leave first. */
  settleSoon(call: Call): void {
    if (this.#ended.push(call) === 1) setImmediate(() => this.#settleEnded());
  }

  /** Calls that ended in one moment share what was used since the last ones did. */
  #settleEnded(): void {
    const ended = this.#ended;
    this.#ended = [];
    const { cpuMs, peakMemoryBytes } = this.read();
    const share = { cpuMs: roundMs(cpuMs / ended.length), peakMemoryBytes };
    for (const call of ended) call.settle(share);
  }
}

function roundMs(ms: number): number {
  return Math.max(0, Math.round(ms * 1_000) / 1_000);
}
