/** Two lists of names beside each other. */

export interface AddedAndRemoved {
  added: string[];
  removed: string[];
}

/** The names that are in the second list alone, and those that are in the first alone, in order. */
export function addedAndRemoved(before: readonly string[], after: readonly string[]): AddedAndRemoved {
  return {
    added: after.filter((name) => !before.includes(name)),
    removed: before.filter((name) => !after.includes(name)),
  };
}
