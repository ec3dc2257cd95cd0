/**
 * A module that a service under test loads before its own code (node --import): its clock is off by
 * as many milliseconds as a file says, and steps when the file is written anew. Timers and
 * monotonic time go on as they are, as they do when a machine's clock is set.
 *
 * Parameter of its URL: `file`. Its absence means an exact clock.
 */
import { readFileSync, watchFile } from "node:fs";

const file = new URL(import.meta.url).searchParams.get("file") as string;
const LOOK_MS = 100;

let offsetMs = 0;

function look(): void {
  try {
    offsetMs = Number(readFileSync(file, "utf8"));
  } catch {
    offsetMs = 0;
  }
}

look();
watchFile(file, { interval: LOOK_MS, persistent: false }, look);

const Exact = Date;
/** `new Date()` and `Date()` ask `now`. */
globalThis.Date = new Proxy(Exact, {
  construct: (target, args, by) => Reflect.construct(target, args.length === 0 ? [shifted()] : args, by),
  apply: () => new Exact(shifted()).toString(),
  get: (target, key, receiver) => (key === "now" ? shifted : Reflect.get(target, key, receiver)),
});

function shifted(): number {
  return Exact.now() + offsetMs;
}
