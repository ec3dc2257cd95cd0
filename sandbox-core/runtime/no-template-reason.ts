/**
 * Reasons why a process cannot be forked. A fork has its own copy of memory and nothing else: what
 * the kernel holds for the process would be shared by all forks, and its threads would be missing
 * in each.
 *
 * This finds what an honest function left open while it was loaded. The walls do not rest on it.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";

// Captured before tenant code.
const getActiveResourcesInfo = process.getActiveResourcesInfo.bind(process);

/**
 * How libuv names the threads of its pool; those of an idle pool are made anew in a fork when they
 * are needed.
 */
const POOL_THREAD = "libuv-worker";
const MOST_NAMED = 5;

/**
 * The resources that were open before a function was loaded. Taken of every sandbox: so of
 * descriptors the numbers have to do.
 */
export class Beforehand {
  readonly #resources = getActiveResourcesInfo();
  // The one that reads the directory is listed, and closed by then.
  readonly #descriptors = new Set(readdirSync("/proc/self/fd").filter((fd) => existsSync(`/proc/self/fd/${fd}`)));
  readonly #threads = readdirSync("/proc/self/task").length;

  /**
   * Why the process cannot be forked now, as the end of a sentence that begins with "because"; or
   * null.
   */
  noTemplateReason(): string | null {
    const open = difference(getActiveResourcesInfo(), this.#resources);
    if (open.length > 0) return `the module keeps something open: ${listed(open)}`;
    // Before what each thread has open.
    if (threads().length > this.#threads) return "the module has threads of its own";
    const found = [...descriptors()].filter(([fd]) => !this.#descriptors.has(fd)).map(([, target]) => target);
    if (found.length > 0) return `the module keeps files or sockets open: ${listed(found)}`;
    if (readdirSync("/tmp").length > 0) return "the module wrote files to /tmp while it was loaded";
    return null;
  }
}

/**
 * The target of each descriptor of this process. The one that reads the directory is closed by the
 * time that it is asked for.
 */
function descriptors(): Map<string, string> {
  const targets = new Map<string, string>();
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      targets.set(fd, readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      // This descriptor read the directory, and is closed.
    }
  }
  return targets;
}

/** Threads that are not the pool's, by name. */
function threads(): string[] {
  const names = readdirSync("/proc/self/task").map((task) => readFileSync(`/proc/self/task/${task}/comm`, "utf8"));
  return names.filter((name) => name.trim() !== POOL_THREAD);
}

/** The items that are in `after` more often than in `before`. */
function difference(after: readonly string[], before: readonly string[]): string[] {
  const rest = [...before];
  return after.filter((name) => {
    const index = rest.indexOf(name);
    if (index >= 0) rest.splice(index, 1);
    return index < 0;
  });
}

function listed(names: readonly string[]): string {
  const different = [...new Set(names)];
  const more = different.length > MOST_NAMED ? ` and ${different.length - MOST_NAMED} more` : "";
  return different.slice(0, MOST_NAMED).join(", ") + more;
}
