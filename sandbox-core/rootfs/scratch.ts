/**
 * Where /tmp is that forked JavaScript sees. A path leads all processes of a sandbox to the same
 * place, and forks of a template each want their own: so /tmp is a link to a descriptor of whoever
 * follows it (proc_pid_fd(5)). In a sandbox that is the whole file system; in a fork of a template
 * it is a directory of the fork's own.
 */

/** The mount point, below the root. */
export const SCRATCH = "scratch";

/**
 * The descriptor that is /tmp: above all that Node has open at its start, which a zygote's forks
 * keep some of.
 */
export const TMP_FD = 63;

export const TMP_LINK = `/proc/self/fd/${TMP_FD}`;
