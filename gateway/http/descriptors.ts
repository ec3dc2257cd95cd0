/** How many connections a process may have, by the descriptors that it may have. */
import { readFileSync } from "node:fs";

/**
 * Descriptors that no client gets, or half of all where there are few: for connections to Redis,
 * files of the artefact store, metrics.
 */
const RESERVED = 256;

/** Most connections of clients at once. */
export function maxConnections(): number {
  const [, soft = ""] = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1")) ?? [];
  const limit = soft === "" ? Number.POSITIVE_INFINITY : Number(soft);
  return limit - Math.min(RESERVED, Math.floor(limit / 2));
}
