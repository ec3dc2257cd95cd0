/** /dev of a sandbox: five devices that hold no state of anybody's, checked by their numbers, on a tmpfs of its own. */
import { chmodSync, lstatSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MS, S_IFCHR } from "../abi/linux.ts";
import { SyscallError } from "../syscall/error.ts";
import { sys } from "../syscall/libc.ts";

/** Minor numbers of the "memory devices", major 1: Documentation/admin-guide/devices.txt in the kernel. */
const MEMORY_MAJOR = 1;
const DEVICES = { null: 3, zero: 5, full: 7, random: 8, urandom: 9 } as const;
const MODE = 0o666;

const FLAGS = MS.NOSUID | MS.NOEXEC;
const LINKS = { fd: "/proc/self/fd", stdin: "/proc/self/fd/0", stdout: "/proc/self/fd/1", stderr: "/proc/self/fd/2" };

/**
 * Mounts a tmpfs on `directory` with the devices in it, read-only as a directory.
 * @throws SyscallError, or Error when a node is not the device that its name says
 */
export function buildDevices(directory: string): void {
  sys.mount("dev", directory, "tmpfs", FLAGS, "mode=0755,size=4k,nr_inodes=32");
  for (const [name, minor] of Object.entries(DEVICES)) {
    const node = join(directory, name);
    const number = deviceNumber(MEMORY_MAJOR, minor);
    makeNode(node, number, `/dev/${name}`);
    const made = lstatSync(node);
    if (!made.isCharacterDevice() || made.rdev !== number)
      throw new Error(`/dev/${name} is not the character device ${MEMORY_MAJOR}:${minor}`);
  }
  for (const [name, target] of Object.entries(LINKS)) symlinkSync(target, join(directory, name));
  sys.mount(null, directory, null, MS.REMOUNT | MS.BIND | MS.RDONLY | FLAGS, null);
}

/**
 * A node of our own: it shares no inode, and so no file lock, with the host's, and mountinfo tells nothing of the
 * host's /dev. Root of a user namespace may make none (mknod(2)), and binds the host's instead.
 */
function makeNode(node: string, number: number, hosts: string): void {
  try {
    sys.mknod(node, S_IFCHR, number);
    // What mknod makes goes through the umask.
    chmodSync(node, MODE);
  } catch (error) {
    if (!(error instanceof SyscallError && error.code === "EPERM")) throw error;
    writeFileSync(node, "");
    sys.mount(hosts, node, null, MS.BIND, null);
    // A bound device must stay usable, so everything but NODEV.
    sys.mount(null, node, null, MS.REMOUNT | MS.BIND | FLAGS, null);
  }
}

/** makedev(3) for small numbers. */
function deviceNumber(major: number, minor: number): number {
  return (major << 8) | minor;
}
