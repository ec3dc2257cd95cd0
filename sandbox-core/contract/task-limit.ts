/** How many tasks the user of a sandbox may have. */

/** Most forks of one template that have slots at once. */
export const MOST_FORK_SLOTS = 32;

/**
 * The value for RLIMIT_NPROC (setrlimit(2)). The kernel counts tasks by user, and all forks of a
 * template share one user. So the value is large enough for every fork to have all the tasks that
 * its own group allows. No limit can be raised later, as that takes a capability which root has not
 * everywhere.
 */
export function tasksOfUser(pids: number, kind: "fork" | "program"): number {
  return kind === "program" ? pids : pids * (MOST_FORK_SLOTS + 1);
}
