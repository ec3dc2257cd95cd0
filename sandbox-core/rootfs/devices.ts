/** /dev of a sandbox: five devices that hold no state of anybody's, checked by their numbers, on a tmpfs of its own. */
import { chmodSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MS, S_IFCHR } from "../abi/linux.ts";
import { SyscallError } from "../syscall/error.ts";
import { sys } from "../syscall/libc.ts";

/** Documentation/admin-guide/devices.txt in the kernel: the "memory devices", and a process's own terminal. */
type Devices = Record<string, readonly [major: number, minor: number]>;
const DEVICES: Devices = { null: [1, 3], zero: [1, 5], full: [1, 7], random: [1, 8], urandom: [1, 9] };
const TERMINAL_DEVICES: Devices = { tty: [5, 0] };
const MODE = 0o666;

const FLAGS = MS.NOSUID | MS.NOEXEC;
const LINKS = { fd: "/proc/self/fd", stdin: "/proc/self/fd/0", stdout: "/proc/self/fd/1", stderr: "/proc/self/fd/2" };

/**
 * Mounts a tmpfs on `directory` with the devices in it, read-only as a directory; with `terminals`, also what leads to
 * a devpts(5) that a sandbox may mount at pts.
 * @throws SyscallError, or Error when a node is not the device that its name says
 */
export function buildDevices(directory: string, { terminals = false } = {}): void {
  sys.mount("dev", directory, "tmpfs", FLAGS, "mode=0755,size=4k,nr_inodes=32");
  const devices = terminals ? { ...DEVICES, ...TERMINAL_DEVICES } : DEVICES;
  for (const [name, [major, minor]] of Object.entries(devices)) {
    const node = join(directory, name);
    const number = deviceNumber(major, minor);
    makeNode(node, number, `/dev/${name}`);
    const made = lstatSync(node);
    if (!made.isCharacterDevice() || made.rdev !== number)
      throw new Error(`/dev/${name} is not the character device ${major}:${minor}`);
  }
  for (const [name, target] of Object.entries(LINKS)) symlinkSync(target, join(directory, name));
  if (terminals) addTerminalPlaces(directory);
  sys.mount(null, directory, null, MS.REMOUNT | MS.BIND | MS.RDONLY | FLAGS, null);
}

/** Where a terminal's file system goes; and /dev/shm for the C library's shm_open(3), which counts as /tmp does. */
function addTerminalPlaces(directory: string): void {
  mkdirSync(join(directory, "pts"));
  symlinkSync("pts/ptmx", join(directory, "ptmx"));
  symlinkSync("/tmp", join(directory, "shm"));
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
