/** How many connections the descriptors of this process are enough for. */
import { readFileSync } from "node:fs";

/**
 * One to the sandbox and three attempts to reach the host, or one to the host and two to the
 * injector; as many are left for the sandboxes' own sockets.
 */
const DESCRIPTORS_EACH = 8;

/**
 * As many connections as are wanted, or as there are descriptors for (RLIMIT_NOFILE, getrlimit(2)):
 * a sandbox whose sockets found no descriptor would reach nothing for all of its life.
 */
export function affordable(connections: number): number {
  const [, limit = "0"] = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  // Node has raised it as far as it goes; "unlimited" is no number.
  return limit === "0" ? connections : Math.min(connections, Math.max(1, Math.floor(Number(limit) / DESCRIPTORS_EACH)));
}
