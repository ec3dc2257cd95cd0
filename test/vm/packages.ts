/**
 * What the booted machine is made of and this machine lacks: a kernel and busybox, out of Debian's
 * packages. They are downloaded once and unpacked beside each other, never installed.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { UpError } from "../../infra/up/failure.ts";

export interface Parts {
  kernel: string;
  /** A disk in memory, for limits on disks. */
  diskModule: string;
  /** The file system that sandboxes have their root in. */
  overlayModule: string;
  busybox: string;
}

/**
 * Kernels for virtual machines. 6.1 has Landlock without network rules, which a newer one would not
 * show.
 */
const KERNEL = /^linux-image-6\.1\.0-(\d+)-cloud-amd64 /;

/**
 * The parts, unpacked below `cache`; what is there already is not looked for anew.
 * @throws UpError when apt cannot bring them
 */
export function fetchParts(cache: string): Parts {
  return findParts(cache) ?? download(cache);
}

function findParts(cache: string): Parts | null {
  const only = (pattern: string) => globSync(join(cache, "parts", pattern))[0];
  const kernel = only("boot/vmlinuz-*");
  const diskModule = only("lib/modules/*/kernel/drivers/block/brd.ko");
  const overlayModule = only("lib/modules/*/kernel/fs/overlayfs/overlay.ko");
  const busybox = only("bin/busybox");
  return kernel && diskModule && overlayModule && busybox ? { kernel, diskModule, overlayModule, busybox } : null;
}

function download(cache: string): Parts {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, "download-"));
  try {
    if (!newestKernel()) apt(work, "apt-get", "update");
    const kernel = newestKernel();
    if (!kernel) throw new UpError("apt knows no kernel linux-image-6.1.0-*-cloud-amd64", "use Debian 12, or another");
    // apt's own user may not write where we do.
    apt(work, "apt-get", "-o", "APT::Sandbox::User=root", "download", kernel, "busybox-static");
    const tree = join(work, "parts");
    mkdirSync(tree);
    for (const file of globSync(join(work, "*.deb"))) unpack(file, tree);
    // Whole or not at all: a download that was broken off is not taken for one.
    if (!existsSync(join(cache, "parts"))) renameSync(tree, join(cache, "parts"));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const parts = findParts(cache);
  if (parts) return parts;
  rmSync(join(cache, "parts"), { recursive: true, force: true });
  throw new UpError(
    "the packages of kernel and busybox hold no vmlinuz, brd.ko, overlay.ko or busybox",
    `look into ${dirname(cache)}`,
  );
}

function newestKernel(): string | null {
  const found = spawnSync("apt-cache", ["search", "--names-only", "^linux-image-6.1.0-[0-9]+-cloud-amd64$"], {
    encoding: "utf8",
  });
  const versions = (found.stdout ?? "").split("\n").flatMap((line) => KERNEL.exec(line)?.[1] ?? []);
  const newest = versions
    .map(Number)
    .sort((a, b) => a - b)
    .at(-1);
  return newest === undefined ? null : `linux-image-6.1.0-${newest}-cloud-amd64`;
}

function unpack(deb: string, into: string): void {
  const wanted = /linux-image/.test(deb) ? ["./boot", "./lib/modules"] : ["./bin/busybox"];
  const tar = execFileSync("dpkg-deb", ["--fsys-tarfile", deb], { maxBuffer: 1 << 30 });
  execFileSync("tar", ["-x", "-C", into, ...wanted], { input: tar });
}

function apt(directory: string, command: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { cwd: directory, encoding: "utf8" });
  if (status === 0) return;
  const said = error ? error.message : stderr.trim().split("\n").slice(-3).join("\n");
  throw new UpError(
    `${command} ${args.join(" ")} failed: ${said}`,
    "see whether the machine reaches its package archive",
  );
}
