/**
 * The read-only root that forked sandboxes share: a tmpfs made once by the zygote, in the zygote's own mount namespace,
 * so that the host's mount table never shows it and it is gone with the last of them.
 */
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { MS } from "../abi/linux.ts";
import { sys } from "../syscall/libc.ts";
import { buildDevices } from "./devices.ts";

/** The sandboxed user as the inside sees it; the host sees the sandbox's own uid. */
export const INSIDE_ID = 1000;

const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";

/** Files with their content: what programs look up that have no network and no users but themselves. */
const FILES: Record<string, string> = {
  "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
  "etc/resolv.conf": "# no name server is reachable from a sandbox\n",
  "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
  "etc/passwd": `function:x:${INSIDE_ID}:${INSIDE_ID}::/tmp:/bin/false\n`,
  "etc/group": `function:x:${INSIDE_ID}:\n`,
};

/** Where each sandbox mounts something of its own. */
const MOUNT_POINTS = ["proc", "tmp", "dev"];

/**
 * Builds the template on `directory` (an empty one), which becomes a read-only mount point, ready for pivot_root(2).
 * The caller must be in a mount namespace of its own.
 * @throws SyscallError
 */
export function buildTemplate(directory: string): void {
  sys.mount("sandpiper", directory, "tmpfs", MS.NOSUID | MS.NODEV | MS.NOEXEC, "mode=0755,size=4m,nr_inodes=256");
  for (const point of MOUNT_POINTS) mkdirSync(join(directory, point));
  writeEtc(directory);
  buildDevices(join(directory, "dev"));
  sys.mount(null, directory, null, MS.REMOUNT | MS.BIND | MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC, null);
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
