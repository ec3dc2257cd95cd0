/**
 * How many sandboxes a machine can have, by each limit that they take of: whoever runs it looks for
 * the lowest.
 */
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { currentArchitecture } from "../abi/arch.ts";
import { ATTESTED_LIMITS } from "../attest/attest.ts";
import { assemble } from "../seccomp/assembler.ts";
import { EXEC_POLICY, FORK_POLICY } from "../seccomp/policy.ts";

export interface Capacity {
  /** The resource that is limited. */
  of: string;
  sandboxes: number;
  /** How much there is of it, and how much a sandbox takes. */
  detail: string;
}

/**
 * Machine code of one filter instruction: 7 to 7.5 bytes on x86-64, measured against bpf_jit_limit.
 */
const JIT_BYTES_PER_INSTRUCTION = 8;
/**
 * Ids of control groups of the memory controller are 16 bits (MEM_CGROUP_ID_MAX, mm/memcontrol.c).
 */
const MOST_GROUPS = 65_535;
/** The wire and the output, in the worker. */
const DESCRIPTORS = 2;
const NAMESPACES = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"];
const MIB = 1024 * 1024;

type Read = (path: string) => string | null;

/**
 * Every limit that this machine has, with sandboxes of the default size that use all they may.
 * @param uidCount host users that there are for them
 * @param read gives the text of a file, or null where there is none
 */
export function capacities(uidCount: number, read: Read = readIfThere): Capacity[] {
  const number = (path: string) => {
    const text = read(path)?.trim();
    return text === undefined ? Number.POSITIVE_INFINITY : Number(text);
  };
  const least = (...paths: string[]) => Math.min(...paths.map(number));
  const { pids, memoryBytes } = ATTESTED_LIMITS;
  const openFiles = Number(/^Max open files +\d+ +(\d+)/m.exec(read("/proc/self/limits") ?? "")?.[1] ?? Infinity);
  const shares: [of: string, there: number, each: number, unit: string][] = [
    ["user ids", uidCount, 1, "users"],
    ["memory", Math.floor(totalmem() / MIB), memoryBytes / MIB, "MiB"],
    ["process ids", least("/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"), pids, "tasks"],
    ["BPF JIT", number("/proc/sys/net/core/bpf_jit_limit"), filterBytes(), "bytes of compiled filters"],
    ["namespaces", least(...NAMESPACES.map((kind) => `/proc/sys/user/max_${kind}_namespaces`)), 1, "of each kind"],
    ["control groups", MOST_GROUPS, 1, "groups"],
    ["open files", openFiles, DESCRIPTORS, "descriptors of the worker's"],
  ];
  return shares
    .filter(([, there]) => Number.isFinite(there))
    .map(([of, there, each, unit]) => ({
      of,
      sandboxes: Math.floor(there / each),
      detail: `${there} ${unit}, ${each} for each sandbox`,
    }));
}

/** Bytes that one sandbox's filter takes; forks of a template have their template's. */
function filterBytes(): number {
  const lengths = [FORK_POLICY, EXEC_POLICY].map((policy) => assemble(policy, currentArchitecture()).length);
  return Math.max(...lengths) * JIT_BYTES_PER_INSTRUCTION;
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
