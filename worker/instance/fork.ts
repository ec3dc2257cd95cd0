/** A fork of a template, as a sandbox: with a wire and an output of its own, inside the walls of its template's sandbox. */
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

/** How long a fork that is to end may take until its template has collected it. Then the whole sandbox ends. */
export const LEAVING_MS = 2_000;
/** How long the last of what a fork wrote may take to be read. */
const LAST_WORDS_MS = 1_000;

/** What the template says of its end. */
export interface ForkEnd {
  code: number | null;
  signal: number | null;
}

export interface ForkParts {
  template: ForkableSandbox;
  sockets: SandboxForkSockets;
  /** Among all forks of that template. */
  number: number;
  /** Where it is, alone; null when it is where its template is, which does nothing meanwhile: then the figures are those of both. */
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
  /** It ends, or is to end. */
  #isEnding = false;
  /** How it ended is known. */
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

  /** Its process, once that is in its own place; until then that of its template. */
  get pid(): number {
    return this.#pid;
  }

  get outdated(): boolean {
    return this.#parts.template.outdated;
  }

  /** Whether it is in its own place, as the kernel tells it. */
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

  /** What its figures are of, and what is frozen with it. */
  get #place(): SandboxForkSlot | ForkableSandbox {
    return this.#parts.slot ?? this.#parts.template;
  }

  usage(): SandboxReading {
    return this.#place.usage();
  }

  /** Its own: one of a call before it is no reason for anything that becomes of this one. */
  oomKills(): number {
    return this.#place.oomKills() - this.#oomKillsBefore;
  }

  stats(): SandboxStats | null {
    return this.#place.stats();
  }

  freeze(): Promise<void> {
    return this.#place.freeze();
  }

  async thaw(): Promise<void> {
    await this.#place.thaw();
  }

  kill(reason: string): void {
    if (this.#isOver) return;
    this.#reason ??= reason;
    void this.#end();
  }

  /** Ends what it is and what it started from outside, if it has a place of its own; its template then collects it. */
  async #end(): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const { slot, template, collect } = this.#parts;
    slot?.kill();
    collect();
    const end = await settledWithin(LEAVING_MS, this.#told.promise);
    if (end === null) return template.kill("a fork of it did not end");
    // That word comes by another connection than what the fork wrote, and may overtake it.
    await readToTheEnd(this.wire);
    await this.#conclude(this.#reason === undefined ? end : { ...end, reason: this.#reason }, 0);
  }

  /** @param oomKills how many processes of its template's group were killed for want of memory, if it died with that. */
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

/** Clears a place away, by ending the whole sandbox if it has to be. */
async function closedSlot(slot: SandboxForkSlot, template: ForkableSandbox): Promise<SandboxUsage> {
  try {
    return await slot.close();
  } catch {
    template.kill("what a fork of it started cannot be ended");
    await template.exited;
    // What the kernel keeps for longer is removed by whoever sweeps next.
    return slot.close().catch(() => ({ ...slot.usage(), oomKills: 0, throttledMs: 0 }));
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
