/** A fork of a template, as a sandbox: with a wire and an output of its own, inside the walls of its template's sandbox. */
import { once } from "node:events";
import type { Sandbox, SandboxExit, SandboxLanes, SandboxReading, SandboxStats } from "../sandbox-core/index.ts";
import { settledWithin } from "./ending.ts";

/** How long the last of what a fork wrote may take to be read. */
const LAST_WORDS_MS = 1_000;

/** What the template says of its end. */
export interface ForkEnd {
  code: number | null;
  signal: number | null;
}

/** The figures are the sandbox's, whose only other process is the template, which does nothing meanwhile. */
export class Fork implements Sandbox {
  readonly id: string;
  readonly pid: number;
  readonly hostUid: number;
  readonly wire: Sandbox["wire"];
  readonly stdio: Sandbox["stdio"];
  readonly exited: Promise<SandboxExit>;
  readonly #template: Sandbox;
  readonly #settle: (exit: SandboxExit) => void;
  readonly #oomKillsBefore: number;
  /** Its end was told, or its template has ended. */
  #isOver = false;
  #hasEnded = false;

  /** @param number how many forks of that template there were with it. */
  constructor(template: Sandbox, { wire, stdio }: SandboxLanes, number: number) {
    this.#oomKillsBefore = template.oomKills();
    this.id = `${template.id}/${number}`;
    this.pid = template.pid;
    this.hostUid = template.hostUid;
    this.wire = wire;
    this.stdio = stdio;
    this.#template = template;
    const { promise, resolve } = Promise.withResolvers<SandboxExit>();
    this.exited = promise;
    this.#settle = resolve;
    void template.exited.then((exit) => this.#end(exit));
  }

  get hasEnded(): boolean {
    return this.#isOver;
  }

  get outdated(): boolean {
    return this.#template.outdated;
  }

  /**
   * Its template has collected it, and all that it started. That word comes by another connection than its answer, and may
   * overtake it: what was written is read first.
   */
  end(end: ForkEnd): void {
    this.#isOver = true;
    void readToTheEnd(this.wire).then(() => this.#told(end));
  }

  #told({ code, signal }: ForkEnd): void {
    const { cpuMs, peakMemoryBytes } = this.usage();
    this.#end({ code, signal, usage: { cpuMs, peakMemoryBytes, oomKills: this.oomKills(), throttledMs: 0 } });
  }

  usage(): SandboxReading {
    return this.#template.usage();
  }

  /** Its own: one of a call before it is no reason for anything that becomes of this one. */
  oomKills(): number {
    return this.#template.oomKills() - this.#oomKillsBefore;
  }

  stats(): SandboxStats | null {
    return this.#template.stats();
  }

  freeze(): Promise<void> {
    return this.#template.freeze();
  }

  thaw(): Promise<void> {
    return this.#template.thaw();
  }

  sendLanes(bytes: Buffer): SandboxLanes {
    return this.#template.sendLanes(bytes);
  }

  wipe(): string | null {
    return this.#template.wipe();
  }

  /** Ends the whole sandbox: of what is inside only the template could end the fork alone, and it waits for it. */
  kill(reason: string): void {
    if (!this.#isOver) this.#template.kill(reason);
  }

  #end(exit: SandboxExit): void {
    if (this.#hasEnded) return;
    this.#isOver = true;
    this.#hasEnded = true;
    this.#settle(exit);
  }
}

/** As far as that can be had in time; a time in which nobody reads does not count. Never rejects. */
async function readToTheEnd(wire: Sandbox["wire"]): Promise<void> {
  for (let isOver = wire.destroyed; !isOver; ) {
    if (wire.isPaused()) await Promise.race([heard(wire, "resume"), heard(wire, "close")]);
    isOver = wire.destroyed || (await settledWithin(LAST_WORDS_MS, heard(wire, "close"))) !== null || !wire.isPaused();
  }
}

/** A connection that breaks closes as well. */
async function heard(wire: Sandbox["wire"], event: "close" | "resume"): Promise<true> {
  await once(wire, event).catch(() => {});
  return true;
}
