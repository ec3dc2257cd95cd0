/**
 * Freezing on machines whose controllers are on version 1: sandboxes are in no group there that can
 * be frozen, as one more group would cost every creation what few sandboxes need. The group is made
 * when a sandbox is to be frozen, and its tasks are moved into it.
 */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CgroupsError } from "../contract/error.ts";
import { keyedNumber, pidsOf, readIfThere, writeIfThere } from "./files.ts";

const RETRY_MS = 5;
const LONGEST_MS = 2_000;
/** Each pass catches what was born during the one before. */
const MOST_PASSES = 10;

/** The words that freeze and thaw, and the group's answer when everything in it stands still. */
interface Kind {
  file: string;
  frozen: string;
  thawed: string;
  stands: (directory: string) => boolean;
}

export const FREEZERS = {
  /** The switch that every group of version 2 has. */
  "cgroup.freeze": {
    file: "cgroup.freeze",
    frozen: "1",
    thawed: "0",
    stands: (directory) => keyedNumber(readIfThere(join(directory, "cgroup.events")) ?? "", "frozen") === 1,
  },
  /**
   * The controller of version 1, which may have to be told again: a state of FREEZING lasts until
   * all stand still.
   */
  freezer: {
    file: "freezer.state",
    frozen: "FROZEN",
    thawed: "THAWED",
    stands: (directory) => readIfThere(join(directory, "freezer.state"))?.trim() === "FROZEN",
  },
} satisfies Record<string, Kind>;

/** Tells a group to stand still. @throws when it is not there */
export function beginFreeze(directory: string, kind: Kind): void {
  writeFileSync(join(directory, kind.file), kind.frozen);
}

/**
 * Resolves when everything in it stands still.
 * @throws CgroupsError after two seconds, or when the group goes away
 */
export async function untilFrozen(directory: string, kind: Kind): Promise<void> {
  for (let waited = 0; !kind.stands(directory); waited += RETRY_MS) {
    if (!existsSync(directory)) throw new CgroupsError(`${directory} went away before it stood still`);
    if (waited >= LONGEST_MS) throw new CgroupsError(`something in ${directory} did not stop within ${LONGEST_MS} ms`);
    await delay(RETRY_MS);
  }
}

/** Lets a group go on; does nothing when it is not there. */
export function thaw(directory: string, kind: Kind): void {
  writeIfThere(join(directory, kind.file), kind.thawed);
}

/**
 * Moves everything into a group that is being frozen, where each task stops as it arrives.
 * @param members gives the process ids of the sandbox
 * @returns whether nothing is left outside; processes that are born and end without rest can keep
 * ahead of it
 */
export function moveInto(directory: string, members: () => number[]): boolean {
  for (let pass = 0; pass < MOST_PASSES; pass++) {
    const inside = new Set(pidsOf(directory));
    const outside = members().filter((pid) => !inside.has(pid));
    if (outside.length === 0) return true;
    for (const pid of outside) move(pid, join(directory, "cgroup.procs"));
  }
  return false;
}

function move(pid: number, file: string): void {
  try {
    writeFileSync(file, String(pid));
  } catch (error) {
    // The process ended meanwhile.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
