/** /dev of a sandbox: five devices that hold no state of anybody's, checked by their numbers. */
import { chmodSync, lstatSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { MS, S_IFCHR } from "../abi/linux.ts";
import { sys } from "../syscall/libc.ts";

/**
 * Documentation/admin-guide/devices.txt in the kernel: the "memory devices", and a process's own
 * terminal.
 */
type Devices = Record<string, readonly [major: number, minor: number]>;
const NULL_DEVICE: Devices = { null: [1, 3] };
const DEVICES: Devices = { ...NULL_DEVICE, zero: [1, 5], full: [1, 7], random: [1, 8], urandom: [1, 9] };
const TERMINAL_DEVICES: Devices = { tty: [5, 0] };
const MODE = 0o666;

const LINKS = { fd: "/proc/self/fd", stdin: "/proc/self/fd/0", stdout: "/proc/self/fd/1", stderr: "/proc/self/fd/2" };

/** How a place with devices in it is mounted: everything but NODEV. */
export const DEVICES_FLAGS = MS.NOSUID | MS.NOEXEC;

/**
 * Mounts a tmpfs on `directory` with the devices in it and what leads to a devpts(5) that a sandbox
 * may mount at pts, read-only as a directory.
 * @throws as `makeDevices` does
 */
export function mountTerminalDevices(directory: string): void {
  sys.mount("dev", directory, "tmpfs", DEVICES_FLAGS, "mode=0755,size=4k,nr_inodes=32");
  makeDevices(directory, { ...DEVICES, ...TERMINAL_DEVICES });
  mkdirSync(join(directory, "pts"));
  symlinkSync("pts/ptmx", join(directory, "ptmx"));
  // For the C library's shm_open(3): it counts as /tmp does.
  symlinkSync("/tmp", join(directory, "shm"));
  sys.mount(null, directory, null, MS.REMOUNT | MS.BIND | MS.RDONLY | DEVICES_FLAGS, null);
}

/**
 * Mounts a tmpfs on `directory` with the null device in it and nothing else, read-only.
 * @throws as `makeDevices` does
 */
export function mountNullDevice(directory: string): void {
  sys.mount("dev", directory, "tmpfs", DEVICES_FLAGS, "mode=0755,size=4k,nr_inodes=8");
  makeNodes(directory, NULL_DEVICE);
  sys.mount(null, directory, null, MS.REMOUNT | MS.BIND | MS.RDONLY | DEVICES_FLAGS, null);
}

/**
 * Makes devices in `directory`: nodes of our own, so that no inode is the host's.
 * @throws SyscallError, EPERM where this process may make no devices (mknod(2)); Error when one is
 * not what its name says
 */
export function makeDevices(directory: string, devices = DEVICES): void {
  makeNodes(directory, devices);
  for (const [name, target] of Object.entries(LINKS)) symlinkSync(target, join(directory, name));
}

function makeNodes(directory: string, devices: Devices): void {
  for (const [name, [major, minor]] of Object.entries(devices)) {
    const node = join(directory, name);
    const number = deviceNumber(major, minor);
    sys.mknod(node, S_IFCHR, number);
    // The umask applies to what mknod makes.
    chmodSync(node, MODE);
    const made = lstatSync(node);
    if (!made.isCharacterDevice() || made.rdev !== number)
      throw new Error(`/dev/${name} is not the character device ${major}:${minor}`);
  }
}

/** makedev(3) for small numbers. */
function deviceNumber(major: number, minor: number): number {
  return (major << 8) | minor;
}
