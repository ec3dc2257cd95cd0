/** `npm start` as a real process in a session of its own, as on a terminal of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");
/** Where cgroup v1 and v2 keep what Sandpiper makes. */
const CGROUPS = ["/sys/fs/cgroup/sandpiper", "/sys/fs/cgroup/pids/sandpiper", "/sys/fs/cgroup/memory/sandpiper"];

/** Uids of their own, so that tests tell their sandboxes from any other's. */
export const UID_BASE = 2_300_000;
const UID_COUNT = 10_000;

export class Up {
  readonly dataDir: string;
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #changed = new EventEmitter();
  readonly #seen = new Set<number>();
  #output = "";
  #over = false;

  /**
   * @param lacks system calls that its kernel shall not have. @param byNpm whether it is started as
   * users do, by npm.
   */
  constructor(
    dataDir: string,
    args: readonly string[],
    env: Record<string, string> = {},
    { lacks = [], byNpm = false }: { lacks?: readonly string[]; byNpm?: boolean } = {},
  ) {
    this.dataDir = dataDir;
    const start = [join(ROOT, "infra/start.mjs"), join(ROOT, "infra/up.ts"), "--data", dataDir, ...args];
    const lesser = [join(import.meta.dirname, "lesser-kernel.ts"), lacks.join(","), process.execPath, ...start];
    const ours = lacks.length > 0 ? lesser : start;
    const npm = ["start", "--", "--data", dataDir, ...args];
    this.#child = spawn(byNpm ? "npm" : process.execPath, byNpm ? npm : ours, {
      cwd: ROOT,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        SANDPIPER_UID_BASE: String(UID_BASE),
        SANDPIPER_UID_COUNT: String(UID_COUNT),
        SANDPIPER_MAX_SANDBOXES: "8",
        SANDPIPER_PREWARMED: "1",
        ...env,
      },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        this.#output += chunk;
        this.#changed.emit("changed");
      });
    }
    this.exited = once(this.#child, "close").then(([code]) => {
      this.#over = true;
      this.#changed.emit("changed");
      return code as number | null;
    });
  }

  /** Everything it has written so far. */
  get output(): string {
    return this.#output;
  }

  /** Resolves with the match as soon as its output has it; rejects when it ends without. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#output);
      if (match) return match;
      if (this.#over) throw new Error(`it ended without saying ${pattern}:\n${this.#output}`);
      await once(this.#changed, "changed");
    }
  }

  /**
   * What Ctrl-C on its terminal does: SIGINT to the foreground group; nothing when it has ended.
   */
  ctrlC(): void {
    if (!this.#over) process.kill(-(this.#child.pid as number), "SIGINT");
  }

  /** A signal to the process that was started alone: npm, or start.mjs. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Its processes now, whatever their generation. */
  processes(): { pid: number; command: string }[] {
    const found = [...descendants(this.#child.pid as number)];
    for (const { pid } of found) this.#seen.add(pid);
    return found;
  }

  /** Process id of the descendant whose command line matches. */
  pidOf(command: RegExp): number {
    const found = this.processes().find((one) => command.test(one.command));
    if (!found) throw new Error(`no process of it matches ${command}`);
    return found.pid;
  }

  /** What is left of it in the kernel and the data directory; empty when it left nothing behind. */
  remains(): string[] {
    const pids = [...this.#seen].filter((pid) => existsSync(`/proc/${pid}`) && !isEnding(pid));
    const cgroups = CGROUPS.flatMap((path) => (existsSync(path) ? readdirSync(path) : [])).filter((name) =>
      this.#seen.has(Number(name.split("-")[0])),
    );
    const files = readdirSync(this.dataDir).filter(
      (name) => !["api-key", "artifacts", "master-key", "redis", "replies"].includes(name),
    );
    const mounts = readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .filter((line) => line.includes(this.dataDir));
    return [
      ...pids.map((pid) => `process ${pid} ${commandOf(pid)}`),
      ...sandboxProcesses().map((pid) => `sandbox process ${pid}`),
      ...cgroups.map((name) => `cgroup ${name}`),
      ...files.map((name) => `file ${name}`),
      ...mounts.map((line) => `mount ${line}`),
    ];
  }
}

function* descendants(pid: number): Generator<{ pid: number; command: string }> {
  for (const child of childrenOf(pid)) {
    yield { pid: child, command: commandOf(child) };
    yield* descendants(child);
  }
}

function childrenOf(pid: number): number[] {
  return processIds().filter((candidate) => Number(statOf(candidate)?.[1]) === pid);
}

function processIds(): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0);
}

/** Fields of proc_pid_stat(5) after the name: state, parent, ... */
function statOf(pid: number): string[] | null {
  const stat = readIfThere(`/proc/${pid}/stat`);
  return stat === null ? null : stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** Whether it has given back its memory: it runs nothing any more, and ends by itself. */
function isEnding(pid: number): boolean {
  return statOf(pid)?.[0] === "Z" || readIfThere(`/proc/${pid}/statm`)?.startsWith("0 ") === true;
}

function commandOf(pid: number): string {
  return (readIfThere(`/proc/${pid}/cmdline`) ?? "").replaceAll("\0", " ").trim();
}

function sandboxProcesses(): number[] {
  return processIds().filter((pid) => {
    const uid = Number(/^Uid:\s+(\d+)/m.exec(readIfThere(`/proc/${pid}/status`) ?? "")?.[1]);
    return uid >= UID_BASE && uid < UID_BASE + UID_COUNT;
  });
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
