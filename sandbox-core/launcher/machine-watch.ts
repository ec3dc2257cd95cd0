/**
 * Looks after what the kernel keeps for all of a machine, charges to no control group, and has no
 * limit for.
 *
 * Connections that nobody accepted, and the data in them: fork/network.ts bounds those of one
 * server, and native code may have thousands of servers. One small file tells how much of the
 * machine's budget for TCP is used (proc(5), net/sockstat). When it is a good part, the sandboxes
 * that have most of it are ended; while it is not, no sandbox is looked at.
 *
 * Locks of files, of which commands in boxes have real ones: whoever has too many is ended.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { locksByProcess } from "./file-locks.ts";

const LOOK_MS = 500;
/** Part of what TCP gets without a thought of the kernel, from which on sandboxes are looked at. */
const SHARE = 0.5;
/** A socket without data, in pages: 7 KB. */
const SOCKET_PAGES = 2;
/**
 * Most TCP sockets of one sandbox at such a time, connections that nobody accepted among them. A
 * process may have 1,024 descriptors, and both ends of a connection count.
 */
export const MOST_SOCKETS = 4_096;
/** Why a sandbox was ended, for whoever reads of it. */
export const TOO_MANY_SOCKETS = `it had more than ${MOST_SOCKETS} TCP sockets when the machine ran short of memory for them`;

/** Most locks of files of one box, 192 bytes each. */
export const MOST_LOCKS = 4_096;
export const TOO_MANY_LOCKS = `it had more than ${MOST_LOCKS} locks of files, which are the machine's memory`;

/** A sandbox as the watch sees it. */
export interface Watched {
  readonly pid: number;
  /** Whether its locks of files are real. */
  readonly hasLocks: boolean;
  /** Process ids of everything in it. */
  members(): number[];
  /** Ends it for what it took of the machine. */
  endFor(overuse: string): void;
}

export class MachineWatch {
  readonly #sandboxes: () => Iterable<Watched>;
  readonly #isShort: () => boolean;
  #timer: NodeJS.Timeout | undefined;
  #countsLocks = false;

  /** `isShort` says whether the machine is short of memory for TCP; it must not throw. */
  constructor(sandboxes: () => Iterable<Watched>, isShort: () => boolean = shortness()) {
    this.#sandboxes = sandboxes;
    this.#isShort = isShort;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    this.#endBySockets();
    if (!this.#countsLocks) void this.#endByLocks();
  }

  #endBySockets(): void {
    if (!this.#isShort()) return;
    for (const sandbox of this.#sandboxes())
      if (socketsOf(sandbox.pid) > MOST_SOCKETS) sandbox.endFor(TOO_MANY_SOCKETS);
  }

  /** Never rejects. */
  async #endByLocks(): Promise<void> {
    const boxes = [...this.#sandboxes()].filter(({ hasLocks }) => hasLocks);
    if (boxes.length === 0) return;
    this.#countsLocks = true;
    const locks = await locksByProcess();
    this.#countsLocks = false;
    const all = [...locks.values()].reduce((sum, count) => sum + count, 0);
    if (all <= MOST_LOCKS) return;
    for (const box of boxes) {
      const count = box.members().reduce((sum, pid) => sum + (locks.get(pid) ?? 0), 0);
      if (count > MOST_LOCKS) box.endFor(TOO_MANY_LOCKS);
    }
  }
}

/** The question whether this machine is short of memory for TCP, by limits that are read once. */
function shortness(): () => boolean {
  const pages = Number.parseInt(read("/proc/sys/net/ipv4/tcp_mem"), 10);
  // A container's network namespace has no such file; the kernel's own rule says it (tcp_init).
  const atEase = pages || Number.parseInt(/^MemTotal: +(\d+)/m.exec(read("/proc/meminfo"))?.[1] ?? "", 10) / 85;
  return () => takenPages(read("/proc/net/sockstat")) > atEase * SHARE;
}

/** Pages that TCP takes on the whole machine: what sockets hold, and the sockets themselves. */
export function takenPages(sockstat: string): number {
  const [, sockets = "0", pages = "0"] = /^TCP: .* alloc (\d+) mem (\d+)/m.exec(sockstat) ?? [];
  return Number(pages) + Number(sockets) * SOCKET_PAGES;
}

/** TCP sockets in the network namespace of a process; none when it is gone, or has the host's. */
function socketsOf(pid: number): number {
  if (networkOf(pid) === networkOf("self")) return 0;
  const counts = ["sockstat", "sockstat6"].map((name) => /^TCP6?: inuse (\d+)/m.exec(read(`/proc/${pid}/net/${name}`)));
  return counts.reduce((sum, found) => sum + Number(found?.[1] ?? 0), 0);
}

function networkOf(pid: number | "self"): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
