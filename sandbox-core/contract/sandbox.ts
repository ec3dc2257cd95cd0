/**
 * The contract of a sandbox: its methods, and which of them are safe after its death.
 *
 * A launcher makes sandboxes. A sandbox is a process behind kernel walls: namespaces, a cgroup, a
 * root of its own, no capability, a system-call filter. Whoever holds a `Sandbox` may do anything
 * with it at any time: after its death `wire` is destroyed, `kill` does nothing, `usage` gives the
 * last figures, and `exited` has settled.
 */
import type { Duplex, Readable } from "node:stream";
import type { EgressSockets } from "./egress.ts";

/** Limits of one sandbox. Every one is enforced by the kernel. */
export interface SandboxLimits {
  memoryBytes: number;
  /**
   * From here on the kernel slows the sandbox down and takes memory back, before `memoryBytes`
   * kills. Version 2 only.
   */
  memoryHighBytes?: number;
  /** Processors' worth of time: 0.5 is half of one. */
  cpus: number;
  /** Its share against busy neighbours, 1 to 10,000; who says nothing has 100. */
  cpuWeight?: number;
  /** Most tasks (processes and threads) at once. */
  pids: number;
  /** Size of /tmp in bytes; its pages count as memory of the sandbox. */
  tmpBytes: number;
  /** Most files and directories in /tmp. */
  tmpInodes: number;
  /**
   * Most bytes (`Bps`) and operations (`Iops`) a second from and to each disk, 2 at least. On
   * version 1 what the kernel writes back later, from its page cache, escapes the limits on
   * writing: direct, synchronous and synced writes do not.
   */
  ioReadBps?: number;
  ioWriteBps?: number;
  ioReadIops?: number;
  ioWriteIops?: number;
  /**
   * The disks that the limits hold for, each by a path of the host on it; every disk of the machine
   * if not given.
   */
  ioPaths?: readonly string[];
}

/** Figures cheap enough to read at every call: two files that stay open. */
export interface SandboxReading {
  cpuMs: number;
  peakMemoryBytes: number;
}

/** The resources that a sandbox has used, read from its cgroup. */
export interface SandboxUsage extends SandboxReading {
  /** How many of its processes the kernel killed for want of memory. */
  oomKills: number;
  /** How long it was held back because its `cpus` were used up. */
  throttledMs: number;
  /** Of all disks together; counted for sandboxes with a limit on it. */
  io?: IoUsage;
}

/**
 * Everything that its cgroup tells of a living sandbox; `null` is what this machine does not count.
 */
export interface SandboxStats extends SandboxUsage {
  memoryBytes: number;
  /** Processes and threads. */
  tasks: number;
  /** Pressure stall information: version 2. */
  pressure: Record<"cpu" | "memory" | "io", Pressure> | null;
  frozen: boolean;
}

export interface IoUsage {
  readBytes: number;
  writtenBytes: number;
  reads: number;
  writes: number;
}

/**
 * How much work stood still for want of a resource: of some of its tasks, and of all at once (PSI
 * in the kernel's documentation).
 */
export interface Pressure {
  /** Percent of the last ten seconds. */
  somePercent: number;
  fullPercent: number;
  /** Since the sandbox was made. */
  someMs: number;
  fullMs: number;
}

/** How a sandbox ended, as the kernel tells it. */
export interface SandboxExit {
  /** Exit code of its first process, or null when a signal ended it. */
  code: number | null;
  signal: number | null;
  usage: SandboxUsage;
  /**
   * Set when the sandbox did not end by itself: what the platform did or lost ("zygote died",
   * "killed").
   */
  reason?: string;
  /** Set when it was ended for what it took of the machine; the end of a sentence about it. */
  overuse?: string;
}

/** The sockets of one fork of a template, the holder's ends. Hostile, as those of a sandbox are. */
export interface SandboxForkSockets {
  wire: Duplex;
  stdio: Readable;
}

/**
 * A fork's slot in its template's sandbox: a /tmp, and a control group with the limits of a
 * sandbox. All of it is safe once the sandbox has ended, but `close` has still to be called.
 */
export interface SandboxForkSlot {
  /** The processes in the slot, by the host's numbers. */
  readonly pids: number[];
  /** As that of a sandbox. */
  readonly isAtWork: boolean;
  usage(): SandboxReading;
  oomKills(): number;
  stats(): SandboxStats | null;
  freeze(): Promise<void>;
  thaw(): void;
  /** As that of a sandbox. */
  setCpuWeight(weight: number): void;
  /** As that of a sandbox. */
  setCpuIdle(isIdle: boolean): void;
  /** Ends everything in it, and lets nothing new begin there. */
  kill(): void;
  /**
   * Ends everything in it and removes it.
   * @throws when something in it cannot be ended within two seconds
   */
  close(): Promise<SandboxUsage>;
}

export interface Sandbox {
  /** Unique among all sandboxes of this host's life. */
  readonly id: string;
  /** Its first process as the host sees it. */
  readonly pid: number;
  /** The host user and group that it runs as, its own alone. */
  readonly hostUid: number;
  /**
   * Bytes to and from the process inside. Hostile: parse with limits. Ends when the sandbox does.
   */
  readonly wire: Duplex;
  /**
   * Output written straight to descriptors 1 and 2 inside. Hostile: bounded by whoever reads it.
   */
  readonly stdio: Readable;
  /**
   * Settles once, never rejects; by then every process of the sandbox is gone and its cgroup is
   * removed.
   */
  readonly exited: Promise<SandboxExit>;
  /**
   * Whether it should make way: its zygote was renewed, and stays only for the sandboxes that it
   * has. End it as soon as it serves nobody.
   */
  readonly outdated: boolean;
  /**
   * Whether something of it runs at this moment, or would if the machine had a processor or memory
   * for it; false while all of it waits for something else. Never throws.
   */
  readonly isAtWork: boolean;
  /**
   * Figures as of now, the last ones once it is gone; cheap enough for every call. Never throws.
   */
  usage(): SandboxReading;
  /**
   * How many of its processes the kernel killed for want of memory, from one file. Never throws.
   */
  oomKills(): number;
  /**
   * All figures as of now, from a dozen files; null once it is gone, as `exited` has the last ones.
   */
  stats(): SandboxStats | null;
  /**
   * Stops every task of it where it stands, until `thaw`; a frozen sandbox can be killed. Resolves
   * when all stand still.
   * @throws SandboxError when it is gone, when this machine cannot freeze, or when a task does not
   * stop within two seconds: the rest of it stands still then
   */
  freeze(): Promise<void>;
  /** Lets a frozen sandbox go on; does nothing to another. */
  thaw(): Promise<void>;
  /**
   * Sets its share of the processors against its neighbours, 1 to 10,000; each has 100 at first.
   * Does nothing to one that is gone, or that is idle. Never throws.
   */
  setCpuWeight(weight: number): void;
  /**
   * Has it run only while none of its neighbours wants a processor, or with a share of 100 again.
   * Does nothing to one that is gone. Never throws.
   */
  setCpuIdle(isIdle: boolean): void;
  /** Ends every process in it, now. Idempotent; await `exited` for the end. */
  kill(reason: string): void;
}

/**
 * A sandbox as a launcher makes it: what is loaded in it may become a template, whose forks share
 * its walls.
 */
export interface ForkableSandbox extends Sandbox {
  /**
   * Makes a slot for a fork of the sandbox, named by the fork's number; `MOST_FORK_SLOTS` at once.
   * @throws SandboxError when it has ended, or the kernel refuses a limit
   */
  openForkSlot(fork: number): SandboxForkSlot;
  /**
   * Makes connections for a fork of the sandbox, and sends the other ends with these bytes over the
   * wire.
   * @param slot the fork's slot; without one the fork shares the sandbox's group and /tmp
   * @throws SyscallError when it has ended, or does not read
   */
  sendForkSockets(bytes: Buffer, slot?: SandboxForkSlot): SandboxForkSockets;
  /**
   * Mounts what is in a directory of the host at /function, read-only, for this sandbox and all of
   * its forks. The directory must stay until the sandbox has ended.
   * @throws SandboxError when the sandbox has ended, or the kernel refuses
   */
  mountFiles(directory: string): Promise<void>;
  /**
   * Makes routes and sockets in the network namespace of the sandbox and its forks, once, and gives
   * descriptors of the sockets: one for names (UDP), then a listener for each port, in order. They
   * are there already in a sandbox that was launched with them. Whoever asks closes them.
   * @throws SandboxError when the sandbox has ended, or the kernel refuses
   */
  openEgressSockets(sockets: EgressSockets): Promise<number[]>;
  /** Whether the sandbox's first processes are alone in its group, as the kernel tells it. */
  readonly isAlone: boolean;
  /**
   * Checks from outside that the first process is alone, and empties /tmp. Says what is left, or
   * null. Never throws.
   */
  cleanScratch(): string | null;
}

/**
 * Makes sandboxes that run the JavaScript runtime of `runtime/main.ts` and speak
 * `protocol/frames.ts` on their wire.
 */
export interface Launcher {
  /** How it makes sandboxes now: one that does without forks for a while is `exec` meanwhile. */
  readonly kind: "fork" | "exec";
  /**
   * A new blank sandbox: locked in, its runtime waiting for a `load` frame.
   * @param egress routes and sockets for `openEgressSockets`: a sandbox that is made now is made
   * with them, one that was made ahead gets them when they are asked for
   * @throws SandboxError when the kernel refuses a wall (nothing of it is left then) or the
   * launcher is closed; EgressSocketsError when the routes or sockets could not be made
   */
  launch(limits: SandboxLimits, egress?: EgressSockets): Promise<ForkableSandbox>;
  /** How many sandboxes it has, and is making. */
  readonly count: number;
  /** Marks all of its sandboxes as `outdated` now. Resolves when it has none. */
  retire(): Promise<void>;
  /** Ends every sandbox and the launcher's own processes; resolves when all of it is gone. */
  close(): Promise<void>;
}
