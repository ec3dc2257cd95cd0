/** A fork of a template, as a sandbox: with a wire and an output of its own, inside the walls of its template's sandbox. */
import type { Sandbox, SandboxExit, SandboxLanes, SandboxReading, SandboxStats } from "../sandbox-core/index.ts";

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
  #hasEnded = false;

  /** @param number how many forks of that template there were with it. */
  constructor(template: Sandbox, { wire, stdio }: SandboxLanes, number: number, oomKillsBefore: number) {
    this.id = `${template.id}/${number}`;
    this.pid = template.pid;
    this.hostUid = template.hostUid;
    this.wire = wire;
    this.stdio = stdio;
    this.#template = template;
    this.#oomKillsBefore = oomKillsBefore;
    const { promise, resolve } = Promise.withResolvers<SandboxExit>();
    this.exited = promise;
    this.#settle = resolve;
    void template.exited.then((exit) => this.#end(exit));
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get outdated(): boolean {
    return this.#template.outdated;
  }

  /** Its template has collected it, and all that it started. */
  end({ code, signal }: ForkEnd): void {
    const { cpuMs, peakMemoryBytes } = this.usage();
    // Asked for where it may matter alone: it takes a dozen files.
    const stats = signal === null ? null : this.#template.stats();
    const oomKills = (stats?.oomKills ?? this.#oomKillsBefore) - this.#oomKillsBefore;
    this.#end({ code, signal, usage: { cpuMs, peakMemoryBytes, oomKills, throttledMs: 0 } });
  }

  usage(): SandboxReading {
    return this.#template.usage();
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
    if (!this.#hasEnded) this.#template.kill(reason);
  }

  #end(exit: SandboxExit): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#settle(exit);
  }
}
