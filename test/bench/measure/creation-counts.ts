/**
 * What the kernel does for a sandbox until its runtime is ready, counted: on whatever machine, a
 * creation has about as many page faults, page tables and system calls.
 */
import { readFileSync } from "node:fs";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { SandboxClient } from "../../helpers/sandbox-client.ts";
import type { Sheet } from "./sheet.ts";
import { Samples } from "./stats.ts";
import { traceSystemCalls } from "./system-calls.ts";

const KIB_PER_PAGE = 4;
/** Sandboxes before those that count: the first ones find no fork that was made ahead. */
const FIRST = 2;

export class CreationCounts {
  readonly #launcher: ZygoteLauncher;
  readonly #zygotePid: number;
  readonly #faults = new Samples();
  readonly #zygoteFaults = new Samples();
  readonly #pageTables = new Samples();
  readonly #calls = new Samples();
  readonly #zygoteCalls = new Samples();

  constructor(launcher: ZygoteLauncher, zygotePid: number) {
    this.#launcher = launcher;
    this.#zygotePid = zygotePid;
  }

  /** Makes so many, one after the other; shares out what the zygote does until the last is gone. */
  async block(count: number, counts: boolean): Promise<void> {
    const before = faultsOf(this.#zygotePid);
    const pids = await this.#make(count);
    if (!counts) return;
    this.#faults.addRound(pids.map(({ faults }) => faults));
    this.#pageTables.addRound(pids.map(({ pageTables }) => pageTables));
    this.#zygoteFaults.addRound([(faultsOf(this.#zygotePid) - before) / count]);
  }

  /**
   * The same under strace, which makes a creation many times as slow: nothing else of it counts.
   * @throws Error when strace cannot be had, or may not trace
   */
  async trace(count: number): Promise<void> {
    await this.#make(FIRST);
    const traced = await traceSystemCalls(this.#zygotePid, () => this.#make(FIRST + count));
    // The fork that was ahead when the trace began is not followed.
    const calls = traced.result.flatMap(({ pid }) => traced.calls.get(pid) ?? []);
    this.#calls.addRound(calls);
    this.#zygoteCalls.addRound([(traced.calls.get(this.#zygotePid) ?? 0) / (FIRST + count)]);
  }

  write(sheet: Sheet): void {
    const style = { chart: "counted" };
    sheet
      .row("page faults of a sandbox, until it is ready", "faults", this.#faults, style)
      .row("page faults of the zygote, for one sandbox", "faults", this.#zygoteFaults, style)
      .row("page tables of a sandbox that is ready", "pages", this.#pageTables, style)
      .row("system calls of a sandbox, until it is ready", "calls", this.#calls, style)
      .row("system calls of the zygote, for one sandbox", "calls", this.#zygoteCalls, style);
  }

  async #make(count: number): Promise<{ pid: number; faults: number; pageTables: number }[]> {
    const made = [];
    for (let index = 0; index < count; index++) {
      await using client = await SandboxClient.blank(this.#launcher);
      const { pid } = client.sandbox;
      made.push({ pid, faults: faultsOf(pid), pageTables: pageTablesOf(pid) });
    }
    return made;
  }
}

/** Minor page faults of a process so far: the 10th field of proc_pid_stat(5). */
function faultsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[7]);
}

/** Pages that page tables take: proc_pid_status(5). */
function pageTablesOf(pid: number): number {
  const kib = /^VmPTE:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) / KIB_PER_PAGE;
}
