/** V8's heap in a zygote and in its forks: when it is collected, and whether it grows. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (options: { type: "major"; execution: "sync"; flavor: "regular" | "last-resort" }) => void;

/** Collects garbage; the last resort of V8 also gives all pages back that it can do without. */
export function collectGarbage(flavor: "regular" | "last-resort" = "regular"): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as Collect)({ type: "major", execution: "sync", flavor });
  setFlagsFromString("--no-expose-gc");
}

/**
 * Has V8's young generation stay at the size that it has, or grow again as V8 does by default. In a
 * zygote each 256 KiB of it would be one more mapping for every fork to copy.
 */
export function mayGrow(grows: boolean): void {
  setFlagsFromString(`--semi-space-growth-factor=${grows ? 2 : 1}`);
}
