/** The version of this Sandpiper. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** As the package says it; "unknown" when there is none around this file. */
export function ownVersion(): string {
  for (let directory = import.meta.dirname; directory !== dirname(directory); directory = dirname(directory)) {
    const file = join(directory, "package.json");
    if (!existsSync(file)) continue;
    const { name, version } = JSON.parse(readFileSync(file, "utf8")) as { name?: string; version?: string };
    if (name === "sandpiper" && version !== undefined) return version;
  }
  return "unknown";
}
