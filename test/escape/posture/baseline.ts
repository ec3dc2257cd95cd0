/** What sandboxes could leave behind on the host, counted. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import { groupsOf, ownerGroup } from "../../../sandbox-core/cgroup/sweep.ts";

/** Everything of one zygote's that must be back where it was once its sandboxes are gone. */
export function readBaseline(zygotePid: number, uidBase: number, uidCount: number) {
  const processes = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap(readProcess);
  const isOurs = ({ uid }: Process) => uid >= uidBase && uid < uidBase + uidCount;
  return {
    cgroups: groupsOf(detectCgroups(), ownerGroup(zygotePid)),
    mountsOfTheHost: countLines("/proc/self/mountinfo"),
    mountsOfTheZygote: countLines(`/proc/${zygotePid}/mountinfo`),
    descriptorsOfTheZygote: descriptors(zygotePid),
    descriptorsOfTheWorker: descriptors(process.pid),
    childrenOfTheZygote: processes
      .filter(({ parent }) => parent === zygotePid)
      // Those that wait for the next launches are others each time.
      .map(({ state, uid }) => `${uid === 0 ? "a fork made ahead" : "a sandbox"}, ${state}`)
      .sort(),
    processesOfHostUsers: processes.filter(isOurs).map(({ pid, uid }) => `${pid} of ${uid}`),
    sharedMemory: countLines("/proc/sysvipc/shm"),
    directories: readdirSync("/run").filter((name) => name.startsWith(`sandpiper-run-${process.pid}-`)).length,
  };
}

interface Process {
  pid: number;
  parent: number;
  state: string;
  uid: number;
}

function readProcess(pid: string): Process[] {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? "";
    return [{ pid: Number(pid), parent: Number(field("PPid")), state: field("State"), uid: Number(field("Uid")) }];
  } catch {
    return []; // It ended meanwhile.
  }
}

/**
 * What the open descriptors of a process lead to, by kind: sockets and pipes differ by number only.
 */
function descriptors(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`)
    .map((fd) => linkOf(`/proc/${pid}/fd/${fd}`))
    .filter((target) => target !== "" && !target.includes("/fd"))
    .sort();
}

/** Empty when it is gone: the descriptor that read the directory is. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path).replace(/\[\d+\]$/, "");
  } catch {
    return "";
  }
}

function countLines(path: string): number {
  return readFileSync(path, "latin1").split("\n").length;
}

/** The kernel objects that a process holds by number: sockets, pipes, namespaces. */
export function readObjects(pid: number): Set<string> {
  const links = ["fd", "ns"].flatMap((kind) =>
    readdirSync(`/proc/${pid}/${kind}`).map((name) => readlinkSync(`/proc/${pid}/${kind}/${name}`)),
  );
  return new Set(links.filter((link) => /^[a-z]+:\[\d+\]$/.test(link)));
}
