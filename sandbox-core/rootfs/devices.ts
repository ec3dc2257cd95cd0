/** /dev of a sandbox: five devices that hold no state of anybody's, checked by their numbers, on a tmpfs of its own. */
import { statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MS } from "../abi/linux.ts";
import { sys } from "../syscall/libc.ts";

/** Minor numbers of the "memory devices", major 1: Documentation/admin-guide/devices.txt in the kernel. */
const MEMORY_MAJOR = 1;
const DEVICES = { null: 3, zero: 5, full: 7, random: 8, urandom: 9 } as const;

const FLAGS = MS.NOSUID | MS.NOEXEC;

/**
 * Mounts a tmpfs on `directory` and binds the devices into it, read-only as a directory.
 * @throws Error when a node of the host is not the device that its name says
 */
export function bindDevices(directory: string): void {
  sys.mount("sandpiper-dev", directory, "tmpfs", FLAGS, "mode=0755,size=4k,nr_inodes=32");
  for (const [name, minor] of Object.entries(DEVICES)) {
    const source = `/dev/${name}`;
    const { rdev } = statSync(source);
    if (rdev !== deviceNumber(MEMORY_MAJOR, minor)) throw new Error(`${source} is not device 1:${minor}`);
    const target = join(directory, name);
    writeFileSync(target, "");
    sys.mount(source, target, null, MS.BIND, null);
    // A bound device must stay usable, so everything but NODEV.
    sys.mount(null, target, null, MS.REMOUNT | MS.BIND | FLAGS, null);
  }
  symlinkSync("/proc/self/fd", join(directory, "fd"));
  for (const [name, fd] of [
    ["stdin", 0],
    ["stdout", 1],
    ["stderr", 2],
  ] as const)
    symlinkSync(`/proc/self/fd/${fd}`, join(directory, name));
  sys.mount(null, directory, null, MS.REMOUNT | MS.BIND | MS.RDONLY | FLAGS, null);
}

/** makedev(3) for small numbers. */
function deviceNumber(major: number, minor: number): number {
  return (major << 8) | minor;
}
