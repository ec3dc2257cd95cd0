/** Opening a launcher: forks where they can be trusted, fresh processes where they cannot. */
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { type Attestation, assertWalls, attest } from "../attest/attest.ts";
import type { Bind, Program } from "../contract/program.ts";
import type { Generation } from "../launcher/generation.ts";
import { ZygoteLauncher } from "../launcher/launcher.ts";
import type { Renewal, ZygoteEnd } from "../launcher/launcher-options.ts";
import type { Fallback, Way } from "../launcher/zygote-starter.ts";
import { RUNTIME_NODE_FLAGS } from "../runtime/flags.ts";

export interface LauncherOptions {
  /** Most memory of one sandbox; V8's heap limit, fixed for the life of a process, follows it. */
  memoryMiB: number;
  /** The host uids that sandboxes may take, and how many: every zygote claims 1,024 of them. */
  uidBase: number;
  uidCount: number;
  /** `auto`, the default: `fork` where a fork of Node proves to live, else `exec`. */
  kind?: "fork" | "exec" | "auto";
  /** When a zygote is replaced by a new one; see `DEFAULT_RENEWAL`. */
  renewal?: Renewal;
  /**
   * Weight of all sandboxes of the machine together, 1 to 10,000; one that fits the processors
   * unless given.
   */
  cpuWeight?: number;
  /**
   * Walls, by their names in attest/walls.ts, that may be missing where this machine cannot put
   * them up; else none may.
   */
  allowDegraded?: readonly string[];
  /**
   * Told what was found of the walls of each zygote's sandboxes, before it is refused for one that
   * is missing.
   */
  onAttested?: (attestation: Attestation) => void;
  /**
   * More flags for the zygote's Node: tests have it load a module first (--import) that makes
   * system calls fail.
   */
  zygoteFlags?: readonly string[];
  /**
   * False: every launch makes its own fork, as some tests want to see it; else the zygote makes the
   * next one ahead.
   */
  forksAhead?: boolean;
  /**
   * False: no sandbox is made whole before it is asked for, as tests want it that count processes.
   */
  sandboxesAhead?: boolean;
  /** Says whether the machine is short of memory for TCP; it is looked at unless given. */
  isShortOfTcp?: () => boolean;
  /** Told when `auto` has to do without forks, and why. */
  onFallback?: (reason: string) => void;
  /** Told when forks live again, and sandboxes are forks from now on. */
  onReturn?: () => void;
  /** Pause before `auto` tries forks again, ten seconds unless given; later pauses grow. */
  forksRetryMs?: number;
  /** Told of a renewal or a start of a zygote that failed, and is tried again. */
  onTrouble?: (message: string, cause: unknown) => void;
  /** Told of each zygote that has ended after it served. */
  onZygoteEnd?: (end: ZygoteEnd) => void;
}

/**
 * Node runs without threads of V8's, which would not exist in a fork. Functions are compiled at
 * once, as each fork would compile anew what the zygote has not; for tenants' code V8 goes back to
 * compiling what is called. Its own code lies in large pages, whose few entries a fork copies; the
 * small pages of a file each fork would fault in one by one. These pages cost 40 MB for each
 * zygote, and nothing for a sandbox. Threads that V8 does not use cost a fork all the same,
 * mappings and a page each: there is the one that Node insists on. V8 does not look for garbage in
 * a process that has been idle for eight seconds: all that a fork shares with its zygote would be
 * written to, which takes 90 ms and makes three times as much memory its own.
 */
const ZYGOTE_FLAGS = [
  "--single-threaded",
  "--no-lazy",
  "--no-flush-bytecode",
  "--use-largepages=silent",
  "--v8-pool-size=1",
  "--no-memory-reducer",
];

const FORKS_RETRY_MS = 10_000;

/**
 * A launcher whose zygote is warm, ready for `launch`. Every zygote of it is attested before it
 * serves: a sandbox of its is looked at, and when a wall is missing that nobody allowed to be
 * missing, the zygote never serves.
 * @throws MissingWallsError naming the walls; SandboxError that says what else this machine lacks
 */
export async function openLauncher(options: LauncherOptions): Promise<ZygoteLauncher> {
  const { kind = "auto", uidBase, uidCount, zygoteFlags = [], renewal, onTrouble, forksAhead = true } = options;
  const { onFallback, onReturn, forksRetryMs: retryMs = FORKS_RETRY_MS } = options;
  const nodeFlags = [...RUNTIME_NODE_FLAGS, ...heapFlags(options.memoryMiB)];
  const { cpuWeight, onZygoteEnd, isShortOfTcp, sandboxesAhead = true } = options;
  const hears = {
    ...(onTrouble && { onTrouble }),
    ...(onZygoteEnd && { onZygoteEnd }),
    ...(isShortOfTcp && { isShortOfTcp }),
  };
  const more = { ...hears, sandboxesAhead, ...(renewal && { renewal }), ...(cpuWeight && { cpuWeight }) };
  const common = { nodeFlags: [...ZYGOTE_FLAGS, ...zygoteFlags, ...nodeFlags], uidBase, uidCount, forksAhead, ...more };
  const forks: Way = {
    approve: async (zygote) => {
      if (kind === "auto") await zygote.selftest();
      await approveWalls(options, "fork", zygote);
    },
  };
  const processes = (): Way => {
    const runtime = runtimeProgram(nodeFlags);
    return { runtime, approve: (zygote) => approveWalls(options, "exec", zygote, runtime) };
  };
  const told = { ...(onFallback && { onFallback }), ...(onReturn && { onReturn }) };
  const fallback: Fallback = { way: processes, retryMs, ...told };
  if (kind === "exec") return ZygoteLauncher.open({ ...common, way: processes() });
  return ZygoteLauncher.open({ ...common, way: forks, ...(kind === "auto" && { fallback }) });
}

async function approveWalls(
  { allowDegraded = [], onAttested }: LauncherOptions,
  kind: "fork" | "exec",
  zygote: Generation,
  runtime?: Program,
): Promise<void> {
  const { facts } = zygote;
  const attestation = await attest({ kind, facts, probe: (limits) => zygote.probe(limits, runtime) });
  onAttested?.(attestation);
  assertWalls(attestation, allowDegraded);
}

/**
 * V8's limits for a process of so much memory: what is left for the heap after the young generation
 * (three semi-spaces) and what is outside V8. A function that keeps too much meets V8's limit,
 * which collects before it gives up, before it meets the kernel's, which kills at once.
 */
function heapFlags(memoryMiB: number): string[] {
  const semiSpaceMiB = Math.min(16, Math.max(1, Math.floor(memoryMiB / 32)));
  const oldSpaceMiB = Math.floor(memoryMiB * 0.9) - 3 * semiSpaceMiB - 12;
  return [`--max-old-space-size=${oldSpaceMiB}`, `--max-semi-space-size=${semiSpaceMiB}`];
}

/**
 * The runtime as a program: this very node, its libraries, and our two folders that it consists of.
 */
function runtimeProgram(nodeFlags: readonly string[]): Program {
  const folder = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const node = nodeProgram();
  return {
    argv: [node.path, ...nodeFlags, `/sandpiper/runtime/exec-main.${extension}`],
    env: {},
    workingDirectory: "/tmp",
    binds: [
      ...node.binds,
      { source: folder("runtime"), target: "/sandpiper/runtime", kind: "directory", executable: false },
      { source: folder("protocol"), target: "/sandpiper/protocol", kind: "directory", executable: false },
    ],
  };
}

/**
 * Where a program stands inside: never below /tmp, which is the sandbox's own, and telling nothing
 * of the host's paths.
 */
export function programPath(program: string): string {
  return `/sandpiper/bin/${basename(program)}`;
}

/**
 * A program at its `programPath`, and the libraries that it loads, each where its loader looks for
 * it.
 */
export function programBinds(program: string, libraries: readonly string[] = []): Bind[] {
  const bind = (source: string, target: string): Bind => ({ source, target, kind: "file", executable: true });
  return [bind(program, programPath(program)), ...libraries.map((path) => bind(path, path))];
}

/** This very node as a program: where it is inside of a sandbox, and what is bound for it. */
export function nodeProgram(): { path: string; binds: Bind[] } {
  return { path: programPath(process.execPath), binds: programBinds(process.execPath, sharedLibraries()) };
}

/** The libraries of this process, as Node's own report lists them; the kernel's vdso is no file. */
function sharedLibraries(): string[] {
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] };
  return sharedObjects.filter((path) => path.startsWith("/") && !path.endsWith(".node"));
}
