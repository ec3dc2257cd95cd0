/**
 * What you can ask of a sandbox, and what is safe after it died.
 *
 * A launcher makes sandboxes. A sandbox is a process behind kernel walls: namespaces, a cgroup, a root of its own, no
 * capability, a system-call filter. Whoever holds a `Sandbox` may do anything with it at any time: after its death
 * `wire` is destroyed, `kill` does nothing, `usage` gives the last figures, and `exited` has settled.
 */
import type { Duplex, Readable } from "node:stream";

/** Limits of one sandbox. Every one is enforced by the kernel. */
export interface SandboxLimits {
  memoryBytes: number;
  /** Processors' worth of time: 0.5 is half of one. */
  cpus: number;
  /** Most tasks (processes and threads) at once. */
  pids: number;
  /** Size of /tmp in bytes; its pages count as memory of the sandbox. */
  tmpBytes: number;
  /** Most files and directories in /tmp. */
  tmpInodes: number;
}

/** What a sandbox has used so far, read from its cgroup. */
export interface SandboxUsage {
  cpuMs: number;
  peakMemoryBytes: number;
  /** How many of its processes the kernel killed for want of memory. */
  oomKills: number;
}

/** How a sandbox ended, as the kernel tells it. */
export interface SandboxExit {
  /** Exit code of its first process, or null when a signal ended it. */
  code: number | null;
  signal: number | null;
  usage: SandboxUsage;
  /** Set when the sandbox did not end by itself: what the platform did or lost ("zygote died", "killed"). */
  reason?: string;
}

export interface Sandbox {
  /** Unique among all sandboxes of this host's life. */
  readonly id: string;
  /** Its first process as the host sees it. */
  readonly pid: number;
  /** The host user and group that it runs as, its own alone. */
  readonly hostUid: number;
  /** Bytes to and from the process inside. Hostile: parse with limits. Ends when the sandbox does. */
  readonly wire: Duplex;
  /** What was written straight to descriptors 1 and 2 inside. Hostile: bounded by whoever reads it. */
  readonly stdio: Readable;
  /** Settles once, never rejects; by then every process of the sandbox is gone and its cgroup is removed. */
  readonly exited: Promise<SandboxExit>;
  /**
   * Whether it should make way: its zygote was renewed, and stays only for the sandboxes that it has. End it as soon as
   * it serves nobody.
   */
  readonly outdated: boolean;
  /** Figures as of now; cheap enough for every call. Never throws. */
  usage(): SandboxUsage;
  /** Ends every process in it, now. Idempotent; await `exited` for the end. */
  kill(reason: string): void;
}

/** Makes sandboxes that run the JavaScript runtime of `runtime/main.ts` and speak `protocol/frames.ts` on their wire. */
export interface Launcher {
  readonly kind: "fork" | "exec";
  /**
   * A new blank sandbox: locked in, its runtime waiting for a `load` frame.
   * @throws SandboxError when the kernel refuses a wall (nothing of it is left then) or the launcher is closed.
   */
  launch(limits: SandboxLimits): Promise<Sandbox>;
  /** Ends every sandbox and the launcher's own processes; resolves when all of it is gone. */
  close(): Promise<void>;
}
