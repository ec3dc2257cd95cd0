/** Opening a launcher: forks where they can be trusted, fresh processes where they cannot. */
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import type { Bind } from "./rootfs/mounts.ts";
import { RUNTIME_NODE_FLAGS } from "./runtime/flags.ts";
import type { Program } from "./zygote/control.ts";
import { type Renewal, ZygoteLauncher } from "./zygote/launcher.ts";

export interface LauncherOptions {
  /** What a sandbox of this launcher may use at most; V8's heap limit, fixed for the life of a process, follows it. */
  memoryMiB: number;
  /** The host uids that sandboxes may take, and how many: every zygote claims 1,024 of them. */
  uidBase: number;
  uidCount: number;
  /** `auto`, the default: `fork` where a fork of Node proves to live, else `exec`. */
  kind?: "fork" | "exec" | "auto";
  /** When a zygote is replaced by a new one; see `DEFAULT_RENEWAL`. */
  renewal?: Renewal;
  /** More flags for the zygote's Node: tests have it load a module first (--import) that makes system calls fail. */
  zygoteFlags?: readonly string[];
  /** Told when `auto` had to fall back, and why. */
  onFallback?: (reason: string) => void;
  /** Told of a renewal that failed. It is tried again, and the old zygote serves on. */
  onTrouble?: (message: string, cause: unknown) => void;
}

/**
 * Node runs without threads of V8's, which would not exist in a fork. It compiles every function at once: what the
 * zygote has not compiled, each fork would compile anew (for tenants' code it goes back to compiling what is called).
 * Its own code lies in large pages, whose few entries a fork copies; the small pages of a file each fork faults in.
 */
const ZYGOTE_FLAGS = ["--single-threaded", "--no-lazy", "--no-flush-bytecode", "--use-largepages=silent"];

/**
 * A launcher whose zygote is warm, ready for `launch`.
 * @throws SandboxError that says what this machine lacks
 */
export async function openLauncher(options: LauncherOptions): Promise<ZygoteLauncher> {
  const { kind = "auto", uidBase, uidCount, zygoteFlags = [], renewal, onFallback, onTrouble } = options;
  const nodeFlags = [...RUNTIME_NODE_FLAGS, ...heapFlags(options.memoryMiB)];
  const told = { ...(renewal && { renewal }), ...(onTrouble && { onTrouble }) };
  const common = { nodeFlags: [...ZYGOTE_FLAGS, ...zygoteFlags, ...nodeFlags], uidBase, uidCount, ...told };
  if (kind !== "exec") {
    const launcher = await ZygoteLauncher.open(common);
    if (kind === "fork" || (await launcher.selftest())) return launcher;
    await launcher.close();
    onFallback?.(`a fork of Node ${process.version} does not live: each sandbox starts a process of its own`);
  }
  return ZygoteLauncher.open({ ...common, runtime: runtimeProgram(nodeFlags) });
}

/**
 * V8's limits for a process of so much memory: what is left for the heap after the young generation (three
 * semi-spaces) and what is outside V8. A function that keeps too much meets V8's limit, which collects before it gives
 * up, before it meets the kernel's, which kills at once.
 */
function heapFlags(memoryMiB: number): string[] {
  const semiSpaceMiB = Math.min(16, Math.max(1, Math.floor(memoryMiB / 32)));
  const oldSpaceMiB = Math.floor(memoryMiB * 0.9) - 3 * semiSpaceMiB - 12;
  return [`--max-old-space-size=${oldSpaceMiB}`, `--max-semi-space-size=${semiSpaceMiB}`];
}

/** The runtime as a program: this very node, its libraries, and our two folders that it consists of. */
function runtimeProgram(nodeFlags: readonly string[]): Program {
  const folder = (name: string) => fileURLToPath(new URL(`./${name}`, import.meta.url));
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return {
    argv: [programPath(process.execPath), ...nodeFlags, `/sandpiper/runtime/exec-main.${extension}`],
    env: {},
    workingDirectory: "/tmp",
    binds: [
      ...programBinds(process.execPath, sharedLibraries()),
      { source: folder("runtime"), target: "/sandpiper/runtime", kind: "directory", executable: false },
      { source: folder("protocol"), target: "/sandpiper/protocol", kind: "directory", executable: false },
    ],
  };
}

/** Where a program stands inside: never below /tmp, which is the sandbox's own, and telling nothing of the host's paths. */
export function programPath(program: string): string {
  return `/sandpiper/bin/${basename(program)}`;
}

/** A program at its `programPath`, and the libraries that it loads, each where its loader looks for it. */
export function programBinds(program: string, libraries: readonly string[] = []): Bind[] {
  const bind = (source: string, target: string): Bind => ({ source, target, kind: "file", executable: true });
  return [bind(program, programPath(program)), ...libraries.map((path) => bind(path, path))];
}

/** The libraries of this process, as Node's own report lists them; the kernel's vdso is no file. */
function sharedLibraries(): string[] {
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] };
  return sharedObjects.filter((path) => path.startsWith("/") && !path.endsWith(".node"));
}
