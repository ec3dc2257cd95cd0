/**
 * Mounting a function's files in its sandbox, after that has locked itself in. Nobody inside can
 * mount anything. The sandbox's mount namespace is owned by the host's root, and who is that may
 * enter it (setns(2)): so the zygote goes there, puts the mount in its place, and returns. While it
 * is there it takes one path, to a directory of a root that nobody can write to.
 */
import { CLONE, O } from "../abi/linux.ts";
import { complain } from "../fork/complain.ts";
import { attachView, openView } from "../rootfs/function-files.ts";
import { exitNow, sys } from "../syscall/libc.ts";

/** Exit code of a zygote that must not go on. */
const EXIT_UNFIT = 71;

/**
 * Mounts a view of the files in `source` for the sandbox whose first process has that pid; the pid
 * must be a child's that was not collected. `directory` is the launcher's.
 * @throws SyscallError, and then nothing is mounted
 */
export function mountFiles(directory: string, pid: number, source: string): void {
  const view = openView(directory, source);
  try {
    inMountsOf(pid, () => attachView(view));
  } finally {
    sys.close(view);
  }
}

/** Does something in the mount namespace of another process. @throws SyscallError */
function inMountsOf(pid: number, work: () => void): void {
  const opened = ["/proc/self/ns/mnt", "/", ".", `/proc/${pid}/ns/mnt`].map(openPath);
  const [own, root, here, theirs] = opened as [number, number, number, number];
  try {
    sys.setns(theirs, CLONE.NEWNS);
    try {
      work();
    } finally {
      returnTo(own, root, here);
    }
  } finally {
    for (const fd of opened) sys.close(fd);
  }
}

function openPath(path: string): number {
  // Of a namespace there is no descriptor that is a path alone.
  return sys.open(path, (path.startsWith("/proc") ? O.RDONLY : O.PATH) | O.CLOEXEC);
}

/**
 * Goes back to the zygote's own mounts, root and working directory: setns(2) leaves the caller at
 * the root of the namespace. A zygote that cannot go back would make its next sandboxes out of
 * another's, so it ends at once, and with it all of its sandboxes.
 */
function returnTo(own: number, root: number, here: number): void {
  try {
    sys.setns(own, CLONE.NEWNS);
    sys.fchdir(root);
    sys.chroot(".");
    sys.fchdir(here);
  } catch (error) {
    complain(error);
    exitNow(EXIT_UNFIT);
  }
}
