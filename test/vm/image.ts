/**
 * The file system of the machine that the tests boot: this Node, this project, and the programs of
 * this machine that the tests call, with the libraries that those load. It is one archive, which
 * the kernel unpacks into memory.
 */
import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { toJavaScript } from "../../infra/package/javascript.ts";
import { COMPILED_WALLS, wallsProgram } from "../escape/native/walls.ts";
import { type Entry, writeArchive } from "./cpio.ts";
import type { Parts } from "./packages.ts";

const ROOT = resolve(import.meta.dirname, "../..");
/** Where the project lies in that machine. */
const GUEST_ROOT = "/sandpiper";

/**
 * What the tests call, and what makes a file system; everything else that the first process calls
 * is busybox.
 */
const PROGRAMS = ["cat", "dd", "env", "mkfs.ext4", "sh", "sleep", "tail", "true", "yes"];
const OF_BUSYBOX = ["chmod", "chroot", "insmod", "ip", "mkdir", "mount", "sync"];
/** Debian has these in one tree, and the others as links into it (hier(7)). */
const MERGED = ["bin", "sbin", "lib", "lib64"];
const DIRECTORIES = ["dev", "etc", "mnt", "proc", "root", "run", "sys", "tmp", "usr/local/bin", "var/tmp"];
const SOURCES = ["package.json", "sandbox-core", "test", "infra", "functions", "worker"];
const PACKAGES = ["koffi", "fast-check"];

export interface ImageOptions {
  parts: Parts;
  /** The shell script that runs the tests there; its exit code is theirs. */
  script: string;
}

/** Writes the archive. @throws Error when this machine lacks a program that the tests call */
export function buildImage(file: string, { parts, script }: ImageOptions): void {
  const image = new Image();
  for (const directory of DIRECTORIES) image.directory(directory);
  for (const name of MERGED) {
    image.directory(`usr/${name}`);
    image.add(name, { kind: "link", to: `usr/${name}` });
  }
  image.add("init", { kind: "copy", of: join(import.meta.dirname, "init.sh"), mode: 0o755 });
  image.add("run-tests.sh", { kind: "file", content: script });
  image.add("etc/passwd", {
    kind: "file",
    content: "root:x:0:0:root:/root:/bin/sh\ntester:x:1000:1000::/tmp:/bin/sh\n",
  });
  image.add("etc/group", { kind: "file", content: "root:x:0:\ntester:x:1000:\n" });
  image.add("usr/bin/busybox", { kind: "copy", of: parts.busybox, mode: 0o755 });
  for (const name of OF_BUSYBOX) image.add(`usr/bin/${name}`, { kind: "link", to: "busybox" });
  image.add("brd.ko", { kind: "copy", of: parts.diskModule, mode: 0o644 });
  image.add("overlay.ko", { kind: "copy", of: parts.overlayModule, mode: 0o644 });
  for (const name of PROGRAMS) image.program(name);
  const node = `${GUEST_ROOT}/node_modules/.bin/node`.slice(1);
  image.file(process.execPath, node);
  image.add("usr/local/bin/node", { kind: "link", to: `/${node}` });
  for (const source of SOURCES) image.tree(join(ROOT, source), join(GUEST_ROOT, source).slice(1));
  for (const name of closure(PACKAGES))
    image.tree(join(ROOT, "node_modules", name), join(GUEST_ROOT, "node_modules", name).slice(1));
  // The machine has no compiler.
  const walls = wallsProgram();
  image.add(join(GUEST_ROOT, relative(ROOT, COMPILED_WALLS)).slice(1), { kind: "copy", of: walls, mode: 0o755 });
  // Six hundred calls warm a zygote for speed's sake alone, and emulated they take most of the time
  // there is.
  image.patch("sandbox-core/runtime/warm-runtime.js", "const CALLS = 300;", "const CALLS = 2;");
  writeArchive(file, image.entries);
}

/** Functions that others might write, some of them wrong, and no modules of ours. */
const CORPUS = join(ROOT, "test/corpus");

class Image {
  readonly entries = new Map<string, Entry>();

  add(path: string, entry: Entry): void {
    const parent = dirname(path);
    if (parent !== ".") this.directory(parent);
    this.entries.set(path, entry);
  }

  directory(path: string): void {
    if (!this.entries.has(path)) this.add(path, { kind: "directory" });
  }

  /** A program of this machine by its name, where it lies here. */
  program(name: string): void {
    const found = ["/usr/bin", "/usr/sbin"].map((directory) => join(directory, name)).find((path) => existsSync(path));
    if (!found) throw new Error(`this machine has no program ${name}, which the tests call`);
    this.file(found, found.slice(1));
  }

  /** A file, and the libraries that it loads if it is a program or a library. */
  file(source: string, path: string): void {
    this.add(path, { kind: "copy", of: realpathSync(source), mode: statSync(source).mode & 0o777 });
    for (const library of librariesOf(source)) {
      const target = library.replace(/^\/(?!usr\/)/, "usr/").replace(/^\//, "");
      if (!this.entries.has(target)) this.add(target, { kind: "copy", of: realpathSync(library), mode: 0o755 });
    }
  }

  /** Replaces a piece of a module of ours. @throws Error when it has no such piece (any more) */
  patch(path: string, from: string, to: string): void {
    const entry = this.entries.get(join(GUEST_ROOT, path).slice(1));
    if (entry?.kind !== "file" || !entry.content.includes(from)) throw new Error(`${path} has no "${from}" to replace`);
    entry.content = entry.content.toString().replace(from, to);
  }

  /** A file, or a directory with all it has. */
  tree(source: string, path: string): void {
    if (source === CORPUS) return;
    const stat = lstatSync(source);
    if (stat.isSymbolicLink()) this.add(path, { kind: "link", to: readlinkSync(source) });
    else if (source.endsWith(".d.ts")) return;
    else if (stat.isFile() && source.endsWith(".ts"))
      this.add(path.replace(/\.ts$/, ".js"), { kind: "file", content: toJavaScript(readFileSync(source, "utf8")) });
    else if (!stat.isDirectory()) this.add(path, { kind: "copy", of: source, mode: stat.mode & 0o777 });
    else {
      this.directory(path);
      for (const name of readdirSync(source))
        if (name !== "node_modules") this.tree(join(source, name), join(path, name));
    }
  }
}

/**
 * The files that the dynamic loader finds for a program: ldd(1). None for a script or a static
 * program.
 */
function librariesOf(program: string): string[] {
  const magic = readFileSync(program).subarray(0, 4).toString("latin1");
  if (magic !== "\x7fELF") return [];
  const lines = execFileSync("ldd", [program], { encoding: "utf8" }).split("\n");
  return lines.flatMap((line) => /(?:=> |^\s+)(\/\S+) \(0x/.exec(line)?.[1] ?? []);
}

/** Packages with what they depend on, as far as it is installed. */
function closure(names: readonly string[]): Set<string> {
  const found = new Set<string>();
  const visit = (name: string) => {
    const file = join(ROOT, "node_modules", name, "package.json");
    if (found.has(name) || !existsSync(file)) return;
    found.add(name);
    const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(file, "utf8"));
    for (const next of [...Object.keys(dependencies), ...Object.keys(optionalDependencies)]) visit(next);
  };
  for (const name of names) visit(name);
  return found;
}
