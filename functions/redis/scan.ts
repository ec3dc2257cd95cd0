/** Keys of Redis by a pattern, looked through bit by bit so that others have their turn (SCAN). */
import type { Redis } from "ioredis";

/** How many keys Redis looks at before others have their turn. */
const LOOKED_AT = 1_000;

/**
 * The keys of a pattern as Redis gives them, some at a time; a key may come twice. Those that are
 * made or removed meanwhile may be missing.
 * @throws what ioredis throws when Redis does not answer.
 */
export async function* scanPages(redis: Redis, pattern: string): AsyncGenerator<string[]> {
  let cursor = "0";
  do {
    const [next, keys] = await redis.scan(cursor, "MATCH", pattern, "COUNT", LOOKED_AT);
    cursor = next;
    yield keys;
  } while (cursor !== "0");
}

/** The keys of a pattern, each once. @throws as `scanPages` does */
export async function* scanKeys(redis: Redis, pattern: string): AsyncGenerator<string> {
  const seen = new Set<string>();
  for await (const keys of scanPages(redis, pattern)) {
    for (const key of keys) {
      if (!seen.has(key)) yield key;
      seen.add(key);
    }
  }
}
