/** The golden posture: what was agreed on, compared with what is. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import type { Postures } from "./stages.ts";
import { mayBeMissing } from "./task.ts";

const FILE = join(import.meta.dirname, `../posture-cgroup${detectCgroups().version}.json`);

/** @throws Error of the file system when there is none for this machine's version of cgroups */
export function readGolden(): Postures {
  return JSON.parse(readFileSync(FILE, "utf8")) as Postures;
}

/** Makes what is now what was agreed on, and says where. */
export function writeGolden(postures: Postures): string {
  writeFileSync(FILE, `${JSON.stringify(postures, null, 2)}\n`);
  return FILE;
}

/**
 * Every difference as a line: "+ path: value" for what is new, "- path: value" for what is gone.
 */
export function differences(golden: unknown, actual: unknown): string[] {
  const [before, now] = [flatten(golden), flatten(actual)];
  const gone = [...before].filter(
    ([path, value]) => now.get(path) !== value && !(mayBeMissing(path) && !now.has(path)),
  );
  const added = [...now].filter(([path, value]) => before.get(path) !== value);
  return [
    ...gone.map(([path, value]) => `- ${path}: ${value}`),
    ...added.map(([path, value]) => `+ ${path}: ${value}`),
  ].sort((a, b) => a.slice(2).localeCompare(b.slice(2)));
}

/**
 * Every leaf by its path. Elements of lists count by their value: their place is told by what is
 * around them.
 */
function flatten(value: unknown, path = ""): Map<string, string> {
  if (typeof value !== "object" || value === null) return new Map([[path, String(value)]]);
  if (Array.isArray(value)) return new Map(value.map((element) => [`${path}: ${element}`, "there"]));
  const entries = Object.entries(value);
  return new Map(entries.flatMap(([name, inner]) => [...flatten(inner, path === "" ? name : `${path}.${name}`)]));
}
