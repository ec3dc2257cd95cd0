/** Roots for programs: what they may see of the host, and where. */
import { cpSync, existsSync, lstatSync, mkdirSync, readlinkSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { MS } from "../abi/linux.ts";
import type { Bind, Program } from "../contract/program.ts";
import { sys } from "../syscall/libc.ts";
import { emptyIn, FUNCTION, mountBase, mountView, writeEtc } from "./base.ts";
import { DEVICES_FLAGS, mountNullDevice, mountTerminalDevices } from "./devices.ts";
import { isInRoot, withPlace } from "./place.ts";

/**
 * Directories that are links into /usr where /usr is merged, and directories of their own where it
 * is not.
 */
const BESIDE_USR = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/** Files in /etc that the host's programs look up, besides those of every sandbox. */
const ETC_OF_HOST = ["/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime"];
const ETC_FILES = {
  "etc/passwd": "root:x:0:0::/tmp:/bin/sh\nbox:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534::/tmp:/bin/false\n",
  "etc/group": "root:x:0:\nbox:x:1000:\nnogroup:x:65534:\n",
  "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
};

const RESOLVER = "etc/resolv.conf";

/** Of the mode of a directory. */
const OTHERS_MAY_ENTER = 0o001;
const FLAGS = MS.NOSUID | MS.NODEV;
const MOUNT_POINTS = ["proc", "tmp", "dev", "etc"];

/** The parts of roots that the zygote has ready. */
export interface Prepared {
  /** Where `buildBase` made the files of bare roots. */
  directory: string;
  /** An empty directory to mount on. */
  programRoot: string;
  /** The root of `buildUsrRoot`, for every program that wants more than a bare root. */
  usrRoot?: string | undefined;
}

/** The layers of a root's overlays: the root that `buildUsrRoot` made, and an empty directory. */
interface Views {
  model: string;
  empty: string;
}

/**
 * Gives the root of a program, as a mount point that is ready for pivot_root(2), in the caller's
 * own mount namespace. With egress, names are looked up at the relay, whatever a root's own
 * resolv.conf(5) says.
 * @throws SyscallError, or Error that says which path is wrong
 */
export function provideRoot({ root = "bare", binds }: Program, prepared: Prepared, hasEgress: boolean): string {
  const { directory, programRoot, usrRoot: model } = prepared;
  const empty = emptyIn(directory);
  if (root === "bare") buildRoot(programRoot, mountBase(directory));
  else if (root === "finite") buildFiniteRoot(programRoot, mountBase(directory));
  else if (model === undefined) throw new Error("the root with the host's programs was not made");
  else if (root === "usr" && binds.length === 0) mountUsrRoot(programRoot, { model, empty });
  else if (root === "usr") buildUsrRootWithRoom(programRoot, { model, empty });
  else bindDirectory(programRoot, root.directory, { model, empty });
  if (hasEgress && typeof root === "object") bindResolver(programRoot, model as string);
  for (const bind of binds) bindInto(programRoot, bind);
  if (typeof root !== "object" && (root !== "usr" || binds.length > 0)) seal(programRoot);
  return programRoot;
}

/**
 * Makes on `directory` the root that boxes share: an /etc, a /dev, the links into /usr and a place
 * for it. Each box mounts overlays of its own over it (`mountView`), so that no two meet in a lock.
 */
export function buildUsrRoot(directory: string): void {
  sys.mount("sandpiper", directory, "tmpfs", FLAGS, "mode=0755,size=8m,nr_inodes=4096");
  for (const point of MOUNT_POINTS) mkdirSync(join(directory, point));
  writeEtc(directory, ETC_FILES);
  for (const path of ETC_OF_HOST)
    if (existsSync(path)) cpSync(path, join(directory, path), { recursive: true, verbatimSymlinks: true });
  mountTerminalDevices(join(directory, "dev"));
  addUsrLinks(directory);
  for (const { target } of usrBinds()) mkdirSync(join(directory, target));
  seal(directory);
}

/** The whole root in three mounts, when nothing is to be added. */
function mountUsrRoot(root: string, { model, empty }: Views): void {
  mountView({ lower: model, empty, place: root, flags: FLAGS | MS.NOEXEC });
  mountUsr(root, empty);
  mountDevices(root, { model, empty });
}

/** The same, with a tmpfs at the top for more. */
function buildUsrRootWithRoom(root: string, { model, empty }: Views): void {
  makeRoot(root);
  mountView({ lower: join(model, "etc"), empty, place: join(root, "etc"), flags: FLAGS });
  mountDevices(root, { model, empty });
  addUsrLinks(root);
  for (const { target } of usrBinds()) mkdirSync(join(root, target));
  mountUsr(root, empty);
}

function mountUsr(root: string, empty: string): void {
  for (const { source, target } of usrBinds())
    mountView({ lower: source, empty, place: join(root, target), flags: FLAGS });
}

function mountDevices(root: string, { model, empty }: Views): void {
  mountView({ lower: join(model, "dev"), empty, place: join(root, "dev"), flags: DEVICES_FLAGS });
}

/** Everything at the top that is not a link into /usr. */
export function usrBinds(): Bind[] {
  return ["usr", ...BESIDE_USR]
    .map((name) => `/${name}`)
    .filter((path) => lstatSync(path, { throwIfNoEntry: false })?.isDirectory())
    .map((path) => ({ source: path, target: path, kind: "directory", executable: true }));
}

function addUsrLinks(directory: string): void {
  for (const name of BESIDE_USR)
    if (lstatSync(`/${name}`, { throwIfNoEntry: false })?.isSymbolicLink())
      symlinkSync(readlinkSync(`/${name}`), join(directory, name));
}

/**
 * A root of files that all have an end: the one device in it is /dev/null, and no proc comes to its
 * /proc.
 */
function buildFiniteRoot(root: string, model: string): void {
  makeRootWithEtc(root, model);
  mountNullDevice(join(root, "dev"));
}

/** A tmpfs with /etc and /dev of another root, which is the caller's own. */
function buildRoot(root: string, model: string): void {
  makeRootWithEtc(root, model);
  // The runtime may be the program.
  mkdirSync(join(root, FUNCTION));
  sys.mount(join(model, "dev"), join(root, "dev"), null, MS.BIND | MS.REC, null);
}

function makeRootWithEtc(root: string, model: string): void {
  makeRoot(root);
  sys.mount(join(model, "etc"), join(root, "etc"), null, MS.BIND, null);
}

function makeRoot(root: string): void {
  sys.mount("sandpiper", root, "tmpfs", FLAGS, "mode=0755,size=1m,nr_inodes=4096");
  for (const point of MOUNT_POINTS) mkdirSync(join(root, point));
}

/** Makes a root that was built here read-only. */
function seal(root: string): void {
  sys.mount(null, root, null, MS.REMOUNT | MS.BIND | MS.RDONLY | MS.NOEXEC | FLAGS, null);
}

/**
 * A directory of the host as the root, read-only, with the sandbox's own /dev; it needs places for
 * that, /proc and /tmp.
 */
function bindDirectory(root: string, directory: string, views: Views): void {
  sys.mount(directory, root, null, MS.BIND, null);
  sys.mount(null, root, null, MS.REMOUNT | MS.BIND | MS.RDONLY | FLAGS, null);
  if ((lstatSync(root).mode & OTHERS_MAY_ENTER) === 0)
    throw new Error(`the root ${directory} cannot be entered by the sandbox's user: chmod o+x`);
  for (const name of ["proc", "tmp", "dev"])
    if (!lstatSync(join(root, name), { throwIfNoEntry: false })?.isDirectory())
      throw new Error(`the root ${directory} has no directory ${name}, which is needed for the sandbox's own: make it`);
  mountDevices(root, views);
}

/** Without the file, the C library asks at the same address. */
function bindResolver(root: string, model: string): void {
  if (isInRoot(root, RESOLVER))
    bindInto(root, { source: join(model, RESOLVER), target: `/${RESOLVER}`, kind: "file", executable: false });
}

function bindInto(root: string, { source, target, kind, executable, writable = false }: Bind): void {
  if (!existsSync(source)) throw new Error(`${source}, which is to be bound to ${target}, is not there`);
  const readOnly = writable ? 0 : MS.RDONLY;
  const noexec = executable ? 0 : MS.NOEXEC;
  withPlace(root, target, kind, (place) => sys.mount(source, place, null, MS.BIND, null));
  // Found anew: the place is below what was mounted by now.
  withPlace(root, target, kind, (place) =>
    sys.mount(null, place, null, MS.REMOUNT | MS.BIND | readOnly | FLAGS | noexec, null),
  );
}

/** The sandbox's terminal, in its /dev. */
export function bindTerminal(mount: string, root: string): void {
  sys.mount(mount, join(root, "dev/pts"), null, MS.BIND, null);
}

/**
 * Whether a path of the host is a file or a directory.
 * @throws Error when it is neither, or not there
 */
export function kindOf(path: string): Bind["kind"] {
  const stat = statSync(path);
  if (stat.isDirectory()) return "directory";
  if (stat.isFile() || stat.isSocket() || stat.isFIFO()) return "file";
  throw new Error(`${path} is neither a file nor a directory`);
}
