/** Waiting with an end, and growing pauses between attempts. */

/**
 * Waits for a promise, but no longer than the limit.
 * @returns the promise's value; null when the limit is over first, or when the promise rejects.
 */
export async function settledWithin<T>(limitMs: number, promise: Promise<T>): Promise<T | null> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(resolve, limitMs, null);
  const settled = await Promise.race([promise.catch(() => null), late]);
  clearTimeout(timer);
  return settled;
}

/** How pauses between attempts grow. */
export interface Backoff {
  firstMs: number;
  longestMs: number;
}

/** The pause after an attempt, counted from 1: twice as long each time, up to the longest. */
export function backoffMs(attempt: number, { firstMs, longestMs }: Backoff): number {
  return Math.min(firstMs * 2 ** (attempt - 1), longestMs);
}
