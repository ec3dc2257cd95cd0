/**
 * The root that forked sandboxes begin with. Its files are on a tmpfs that the zygote makes once,
 * in its own mount namespace, so that the host's mount table never shows it and it is gone with the
 * last of them. Each sandbox has them through an overlay of its own: a lock, a lease or a time is a
 * matter of inodes, and no two sandboxes share one.
 */
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { MNT_DETACH, MS, O } from "../abi/linux.ts";
import { SyscallError } from "../syscall/error.ts";
import { sys } from "../syscall/libc.ts";
import { DEVICES_FLAGS, makeDevices } from "./devices.ts";
import { SCRATCH, TMP_LINK } from "./scratch.ts";

/** The sandboxed user as the inside sees it; the host sees the sandbox's own uid. */
export const INSIDE_ID = 1000;

const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";

/**
 * Files with their content: what programs look up that have no network and no users but themselves.
 */
const FILES: Record<string, string> = {
  "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
  "etc/resolv.conf": "nameserver 127.0.0.1\n",
  "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns [!SUCCESS=continue] files\n",
  "etc/passwd": `function:x:${INSIDE_ID}:${INSIDE_ID}::/tmp:/bin/false\n`,
  "etc/group": `function:x:${INSIDE_ID}:\n`,
};

/**
 * Below a launcher's directory: the files, where each sandbox mounts its overlay of them, and
 * nothing at all.
 */
const [LOWER, ROOT, EMPTY] = ["files", "root", "empty"];

/**
 * Paths are relative, so that the table of mounts does not tell where they are; without a writable
 * layer there must be two.
 */
const LAYERS = `lowerdir=${LOWER}:${EMPTY},redirect_dir=nofollow`;

const CLOSED = MS.NOSUID | MS.NODEV | MS.NOEXEC;

/** The mount point of the files that a function includes, below the root. */
export const FUNCTION = "function";

/** Where each sandbox mounts something of its own, or something is mounted for it. */
const MOUNT_POINTS = ["proc", SCRATCH, "dev", FUNCTION];

/**
 * Makes the files below `directory`. The caller must be in a mount namespace of its own.
 * @throws SyscallError, or Error when this kernel has no overlayfs
 */
export function buildBase(directory: string): void {
  const lower = join(directory, LOWER);
  for (const name of [LOWER, ROOT, EMPTY]) mkdirSync(join(directory, name), { recursive: true });
  sys.mount("sandpiper", lower, "tmpfs", CLOSED, "mode=0755,size=4m,nr_inodes=256");
  for (const point of MOUNT_POINTS) mkdirSync(join(lower, point));
  symlinkSync(TMP_LINK, join(lower, "tmp"));
  writeEtc(lower);
  makeDevices(join(lower, "dev"));
  sys.mount(null, lower, null, MS.REMOUNT | MS.BIND | MS.RDONLY | CLOSED, null);
  tryOverlay(directory);
}

/** Has the kernel load what overlays need, or says now what each sandbox would say. */
function tryOverlay(directory: string): void {
  try {
    sys.umount2(mountBase(directory), MNT_DETACH);
    sys.chdir("/");
  } catch (cause) {
    if (!(cause instanceof SyscallError && cause.code === "ENODEV")) throw cause;
    throw new Error("the kernel has no overlay file system, which sandboxes have their root in: modprobe overlay", {
      cause,
    });
  }
}

/**
 * Mounts the caller's own view of the files, in its mount namespace, and gives its path: a
 * read-only mount point that is ready for pivot_root(2).
 * @throws SyscallError, ENODEV on a kernel without overlayfs
 */
export function mountBase(directory: string): string {
  sys.chdir(directory);
  sys.mount("sandpiper", ROOT, "overlay", MS.RDONLY | CLOSED, LAYERS);
  const devices = join(ROOT, "dev");
  sys.mount(devices, devices, null, MS.BIND, null);
  sys.mount(null, devices, null, MS.REMOUNT | MS.BIND | MS.RDONLY | DEVICES_FLAGS, null);
  return join(directory, ROOT);
}

/** The empty directory below a launcher's. */
export function emptyIn(directory: string): string {
  return join(directory, EMPTY);
}

/**
 * Mounts what is in `lower` on `place`, read-only, with inodes of the mount's own. Descriptors
 * stand for the paths, which may have any letters in them and are not the sandbox's to know.
 * @throws SyscallError
 */
export function mountView(view: { lower: string; empty: string; place: string; flags: number }): void {
  const layers = [view.lower, view.empty].map((path) => sys.open(path, O.PATH | O.CLOEXEC));
  const data = `lowerdir=${layers.map((fd) => `/proc/self/fd/${fd}`).join(":")},redirect_dir=nofollow`;
  sys.mount("sandpiper", view.place, "overlay", MS.RDONLY | view.flags, data);
  for (const fd of layers) sys.close(fd);
}

/** Writes /etc of a sandbox below `directory`, with `more` files or others of the same names. */
export function writeEtc(directory: string, more: Record<string, string> = {}): void {
  for (const [path, content] of Object.entries({ ...FILES, ...more })) writeFile(join(directory, path), content);
  if (!existsSync(CERTIFICATES)) return;
  mkdirSync(join(directory, dirname(CERTIFICATES)), { recursive: true });
  copyFileSync(CERTIFICATES, join(directory, CERTIFICATES));
  symlinkSync("certs/ca-certificates.crt", join(directory, "etc/ssl/cert.pem"));
}

function writeFile(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content, { mode: 0o444 });
}
