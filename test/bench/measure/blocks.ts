/** Blocks of measurements. */

/** Measures this often, one after the other. */
export async function sequence(count: number, measure: () => Promise<number>): Promise<number[]> {
  const values: number[] = [];
  for (let index = 0; index < count; index++) values.push(await measure());
  return values;
}

/** Does something this often in so many lanes at once. @returns how often a second */
export async function perSecond(count: number, lanes: number, act: () => Promise<unknown>): Promise<number> {
  let left = count;
  const lane = async (): Promise<void> => {
    while (left-- > 0) await act();
  };
  const startMs = performance.now();
  await Promise.all(Array.from({ length: lanes }, lane));
  return (count / (performance.now() - startMs)) * 1_000;
}

/**
 * Runs each, beginning with another one in each round, so that none always comes after the same.
 */
export async function inTurn(round: number, actions: readonly (() => Promise<void>)[]): Promise<void> {
  for (let index = 0; index < actions.length; index++) await actions[(index + round) % actions.length]?.();
}

/**
 * Like `Promise.all`, but settles when all have: whoever closes what they started misses none of
 * it.
 * @throws what the first of them in the list threw
 */
export async function allOf<T extends readonly unknown[] | []>(
  starting: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(starting);
  return Promise.all(starting);
}
