/**
 * A fork of a template, as a sandbox: with a wire and an output of its own, inside the walls of its
 * template's sandbox.
 */
import { once } from "node:events";
import { settledWithin } from "../../infra/std/time.ts";
import type {
  ForkableSandbox,
  Sandbox,
  SandboxExit,
  SandboxForkSlot,
  SandboxForkSockets,
  SandboxReading,
  SandboxStats,
  SandboxUsage,
} from "../../sandbox-core/index.ts";

/** Time for a template to collect a fork that is to end. Then the whole sandbox ends. */
export const LEAVING_MS = 2_000;
/** Time to read the last output of a fork. */
const LAST_WORDS_MS = 1_000;

/** The end of a fork, as its template reports it. */
export interface ForkEnd {
  code: number | null;
  signal: number | null;
}

export interface ForkParts {
  template: ForkableSandbox;
  sockets: SandboxForkSockets;
  /** Among all forks of that template. */
  number: number;
  /**
   * The fork's own slot; null when it shares its template's, which does nothing meanwhile: then the
   * figures are of both.
   */
  slot: SandboxForkSlot | null;
  /** Has the template end it and tell of that. */
  collect: () => void;
}

export class Fork implements Sandbox {
  readonly id: string;
  readonly hostUid: number;
  readonly wire: Sandbox["wire"];
  readonly stdio: Sandbox["stdio"];
  readonly exited: Promise<SandboxExit>;
  readonly #parts: ForkParts;
  readonly #told = Promise.withResolvers<ForkEnd>();
  readonly #settle: (exit: SandboxExit) => void;
  readonly #oomKillsBefore: number;
  #pid: number;
  #reason: string | undefined;
  /** Whether the fork ends, or is to end. */
  #isEnding = false;
  /** Whether it is known how the fork ended. */
  #isOver = false;

  constructor(parts: ForkParts) {
    const { template, sockets, number } = parts;
    this.#oomKillsBefore = parts.slot === null ? template.oomKills() : 0;
    this.id = `${template.id}/${number}`;
    this.hostUid = template.hostUid;
    this.wire = sockets.wire;
    this.stdio = sockets.stdio;
    this.#parts = parts;
    this.#pid = template.pid;
    const { promise, resolve } = Promise.withResolvers<SandboxExit>();
    this.exited = promise;
    this.#settle = resolve;
    // Nobody can make use of a fork that has no wire.
    this.wire.once("close", () => void this.#end());
    void template.exited.then((exit) => this.#conclude(exit, parts.slot === null ? 0 : exit.usage.oomKills));
  }

  /** The fork's process, once that is in its slot; until then the template's. */
  get pid(): number {
    return this.#pid;
  }

  get outdated(): boolean {
    return this.#parts.template.outdated;
  }

  /** Whether the kernel finds the fork in its slot. */
  movedIn(): boolean {
    const [pid] = this.#parts.slot?.pids ?? [];
    this.#pid = pid ?? this.#pid;
    return pid !== undefined;
  }

  /** Its template has collected it. False when it was not told to. */
  ended(end: ForkEnd): boolean {
    this.#told.resolve(end);
    return this.#isEnding;
  }

  /** The control group whose figures are the fork's, and which is frozen with it. */
  get #group(): SandboxForkSlot | ForkableSandbox {
    return this.#parts.slot ?? this.#parts.template;
  }

  get isAtWork(): boolean {
    return this.#group.isAtWork;
  }

  usage(): SandboxReading {
    return this.#group.usage();
  }

  /** Its own: one of a call before it is no reason for anything that becomes of this one. */
  oomKills(): number {
    return this.#group.oomKills() - this.#oomKillsBefore;
  }

  stats(): SandboxStats | null {
    return this.#group.stats();
  }

  freeze(): Promise<void> {
    return this.#group.freeze();
  }

  setCpuWeight(weight: number): void {
    this.#group.setCpuWeight(weight);
  }

  setCpuIdle(isIdle: boolean): void {
    this.#group.setCpuIdle(isIdle);
  }

  async thaw(): Promise<void> {
    await this.#group.thaw();
  }

  kill(reason: string): void {
    if (this.#isOver) return;
    this.#reason ??= reason;
    void this.#end();
  }

  /**
   * Kills the fork and its own processes from outside, if it has a slot; its template then collects
   * it.
   */
  async #end(): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const { slot, template, collect } = this.#parts;
    slot?.kill();
    collect();
    const end = await settledWithin(LEAVING_MS, this.#told.promise);
    if (end === null) return template.kill("a fork of it did not end");
    // The template's report comes by another connection than the fork's output, and may overtake
    // it.
    await readToTheEnd(this.wire);
    await this.#conclude(this.#reason === undefined ? end : { ...end, reason: this.#reason }, 0);
  }

  /**
   * @param oomKills how many processes of its template's group were killed for want of memory, if
   * it died with that.
   */
  async #conclude(end: ForkEnd & { reason?: string }, oomKills: number): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    const { slot, template } = this.#parts;
    const usage =
      slot === null ? { ...this.usage(), oomKills: this.oomKills(), throttledMs: 0 } : await closedSlot(slot, template);
    const { code, signal, reason } = end;
    const exit = { code, signal, usage: { ...usage, oomKills: usage.oomKills + oomKills } };
    this.#settle(reason === undefined ? exit : { ...exit, reason });
  }
}

/** Removes a slot, by ending the whole sandbox if it has to be. */
async function closedSlot(slot: SandboxForkSlot, template: ForkableSandbox): Promise<SandboxUsage> {
  try {
    return await slot.close();
  } catch {
    template.kill("what a fork of it started cannot be ended");
    await template.exited;
    // The next sweep removes a group that the kernel keeps for longer.
    return slot.close().catch(() => ({ ...slot.usage(), oomKills: 0, throttledMs: 0 }));
  }
}

/**
 * As far as that can be had in time; a time in which nobody reads does not count. Never rejects.
 */
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
