/**
 * A launcher whose zygote makes the system calls of a launch fail in turn: fault-module.ts is in
 * the zygote, this is in the test.
 */
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { detectCgroups } from "../../sandbox-core/cgroup/detect.ts";
import { groupsOf, ownerGroup } from "../../sandbox-core/cgroup/sweep.ts";
import type { LauncherOptions } from "../../sandbox-core/host/open.ts";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { openTestLauncher } from "./sandbox-client.ts";

/** Whose call: the zygote's own, or that of the fork that locks itself in. */
export type Side = "zygote" | "child";

/** One call that goes wrong. HANG: it never returns. */
export interface Fault {
  side: Side;
  /** Counted from 1, on each side from the moment that the zygote has seen the plan. */
  at: number;
  code: string;
  /** Every call after it fails as well. */
  lasting?: true;
}

export interface Plan {
  /** Each plan has a number of its own. */
  number: number;
  record?: boolean;
  /** The names of the calls that are recorded and counted; all when left out. */
  only?: readonly string[];
  fault?: Fault;
}

/** One call of a record. */
export interface Recorded {
  side: Side;
  name: string;
  at: number;
}

const cgroups = detectCgroups();

export class FaultyLauncher {
  readonly launcher: ZygoteLauncher;
  readonly #directory: string;
  #number = 0;

  private constructor(launcher: ZygoteLauncher, directory: string) {
    this.launcher = launcher;
    this.#directory = directory;
  }

  static async open(options: Partial<LauncherOptions> = {}): Promise<FaultyLauncher> {
    const directory = mkdtempSync(join(tmpdir(), "sandpiper-faults-"));
    writeFileSync(join(directory, "plan"), JSON.stringify({ number: 0 }));
    const module = new URL("./fault-module.ts", import.meta.url);
    module.searchParams.set("directory", directory);
    const zygoteFlags = ["--import", module.href];
    // A fork that is there already would follow the plan before.
    return new FaultyLauncher(await openTestLauncher({ ...options, zygoteFlags, forksAhead: false }), directory);
  }

  /** What the zygote does from its next wake-up on, until there is another plan. */
  plan(plan: Omit<Plan, "number"> = {}): void {
    this.#number += 1;
    // Whole or not at all, as the zygote may look at any moment.
    writeFileSync(join(this.#directory, "next"), JSON.stringify({ ...plan, number: this.#number }));
    renameSync(join(this.#directory, "next"), join(this.#directory, "plan"));
  }

  /**
   * The calls that were made under the present plan, which had to record, numbered as faults count
   * them.
   */
  recorded(): Recorded[] {
    const counts = { zygote: 0, child: 0 };
    const lines = readFileSync(join(this.#directory, "record"), "utf8").split("\n");
    return lines.flatMap((line): Recorded[] => {
      const [number, side, name] = line.split(" ") as [string, Side, string];
      return Number(number) === this.#number ? [{ side, name, at: ++counts[side] }] : [];
    });
  }

  /** Everything that a sandbox could leave behind: compare it with what it was before. */
  async leftovers(): Promise<Record<string, unknown>> {
    const pid = await this.launcher.zygotePid();
    return {
      groups: groupsOf(cgroups, ownerGroup(pid)).map((path) => path.slice(ownerGroup(pid).length)),
      hostIdsInUse: Number(readFileSync(join(this.#directory, "ids"), "utf8")),
      children: readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8"),
      descriptorsOfZygote: readdirSync(`/proc/${pid}/fd`).length,
      mountsOfZygote: mountsOf(pid),
      mountsOfHost: mountsOf(process.pid),
      descriptorsOfWorker: readdirSync("/proc/self/fd").length,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.launcher.close();
    rmSync(this.#directory, { recursive: true });
  }
}

function mountsOf(pid: number): number {
  return readFileSync(`/proc/${pid}/mountinfo`, "utf8").split("\n").length;
}
