/**
 * The checklist that locks a fork in. The forked child runs it as root, before any tenant's byte is
 * there. A step that throws ends the child, so a wall that the kernel refuses is a sandbox that
 * does not exist.
 *
 * The child has one thread and is the first process of a pid namespace already. `depart` is the
 * same for every launch, and the child may wait for its order behind it (zygote/waiting-fork.ts).
 * `enter` follows. The order of the steps is the design:
 *  - the wish to die with the zygote is first, so that nothing below can leave an orphan;
 *  - descriptors that the zygote has of other sandboxes go next: there may be more than a sandbox
 *    may have;
 *  - the cgroup is joined while its files can still be seen, so that all later memory is the
 *    sandbox's own;
 *  - the namespaces follow that show nothing of the launch. The network's takes longest, and is
 *    bounded while the host's proc is there. Here the child may wait;
 *  - the wire is connected while the worker's socket can still be reached;
 *  - mounts are made as root of the host, so that the sandbox's user namespace owns none of them
 *    and no capability in it could ever undo one;
 *  - the user namespace comes after them: from there on the process is nobody;
 *  - Landlock comes once every file that is needed is open, and before the filter, which does not
 *    let it be changed;
 *  - the filter comes once nothing is left to do that it refuses;
 *  - descriptors are closed next, all but the one that reports a failure. libuv's loop is made
 *    later still: it must find io_uring refused already;
 *  - the greeting is last: the worker takes a sandbox for made when every wall stands.
 */

import { currentArchitecture } from "../abi/arch.ts";
import { CLONE, F_DUPFD_CLOEXEC, O, PR } from "../abi/linux.ts";
import type { Program } from "../contract/program.ts";
import type { SandboxLimits } from "../contract/sandbox.ts";
import { tasksOfUser } from "../contract/task-limit.ts";
import { type Connection, hello } from "../protocol/control.ts";
import { confine } from "../rootfs/access.ts";
import { INSIDE_ID, mountBase } from "../rootfs/base.ts";
import { mountOwn, pivotInto } from "../rootfs/mounts.ts";
import { bindTerminal, provideRoot } from "../rootfs/program.ts";
import { SCRATCH, TMP_FD } from "../rootfs/scratch.ts";
import { dropCapabilities } from "../syscall/capabilities.ts";
import { sys } from "../syscall/libc.ts";
import {
  adviseParentDeath,
  closeAllBut,
  connectTo,
  setLoopbackUp,
  setResourceLimits,
  writeInside,
  writeTo,
} from "../syscall/steps.ts";
import { boundNetwork } from "./network.ts";
import { assertPipe, type Pipe } from "./signal-pipe.ts";

/** Needs of a fork that leaves the zygote's surroundings, whatever it is to become. */
export interface Departure {
  cgroupFiles: string[];
  sharesNetwork: boolean;
  /** The descriptors that the fork keeps. */
  kept: readonly number[];
  /** A pidfd of the zygote. */
  zygotePidfd: number;
}

/** Everything else that a fork needs to lock itself in. */
export interface Entry {
  hostId: number;
  limits: SandboxLimits;
  token: string;
  connections: Connection[];
  /** Ends of pipes that the zygote has already, and what they become. */
  pipes: readonly { fd: number; target: number }[];
  /** The worker's socket as an address. */
  workerAddress: Buffer;
  /** Where the files of roots are; for a program, where its own root is to be built as well. */
  directory: string;
  programRoot: string;
  /** The prepared root of a program whose root is /usr's, where there is one. */
  usrRoot?: string | undefined;
  /** Where the zygote mounted the program's terminal. */
  terminalMount: string | undefined;
  program?: Program;
  /** Whether the program has egress. */
  hasEgress: boolean;
  /** Version of the kernel's Landlock, 0 where it has none. */
  landlockAbi: number;
  /** The seccomp program. */
  filter: Buffer;
  /** The pipe of libuv's lock for signals. */
  signalPipe: Pipe;
  /** Where a fork says what stopped it; close-on-exec. */
  statusPipe: number;
  /** A pidfd of the zygote. */
  zygotePidfd: number;
}

/**
 * Above what a sandbox keeps, so that nothing is overwritten while descriptors are put in place.
 */
const FIRST_HIGH_FD = 64;

/**
 * The mount namespace is made later: mounts that the zygote makes for the launch must be seen until
 * then.
 */
const NAMESPACES = CLONE.NEWIPC | CLONE.NEWUTS | CLONE.NEWCGROUP;
const SETPGID = currentArchitecture().syscalls.setpgid as number;
const ORDINARY_USER = { uid: INSIDE_ID, gid: INSIDE_ID };

/**
 * The first half of the checklist, in which the caller may wait for its launch.
 * @throws SyscallError
 */
export function depart({ cgroupFiles, sharesNetwork, kept, zygotePidfd }: Departure): void {
  adviseParentDeath(zygotePidfd);
  closeAllBut([0, 1, 2, ...kept]);
  // A signal to a process group reaches all members, in whatever pid namespace, and SIGCONT any
  // process of the session (kill(2)). So the fork gets a group of its own. A session would do as
  // well, and costs a scheduling group (sched(7), autogroup).
  sys.syscall("setpgid", SETPGID, 0, 0);
  for (const file of cgroupFiles) writeTo(file, "0");
  sys.unshare(sharesNetwork ? NAMESPACES : NAMESPACES | CLONE.NEWNET);
  if (!sharesNetwork) {
    setLoopbackUp();
    boundNetwork();
  }
  sys.sethostname("sandpiper", "sandpiper".length);
}

/**
 * The second half of the checklist, for a process that has departed. After it every wall stands.
 * @throws SyscallError
 */
export function enter(entry: Entry): void {
  const sockets = entry.connections.map(() => connectTo(entry.workerAddress));
  // Checked by the zygote's proc, as some programs have none.
  assertPipe(entry.signalPipe);
  sys.unshare(CLONE.NEWNS);
  // The sandbox's own proc is read-only, if it has one, and the maps of its users are written
  // there.
  const self = sys.open("/proc/self", O.RDONLY | O.CLOEXEC);
  enterRoot(entry);
  becomeNobody(entry.hostId, entry.program?.user ?? ORDINARY_USER, self);
  // The change of user cleared the wish to die with the parent.
  adviseParentDeath(entry.zygotePidfd);
  const kind = entry.program ? "program" : "fork";
  setResourceLimits(tasksOfUser(entry.limits.pids, kind), kind);
  dropCapabilities();
  sys.prctl(PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const kept = placeDescriptors([
    ...entry.connections.map(({ fds }, index) => ({ fd: sockets[index] as number, targets: fds })),
    ...entry.pipes.map(({ fd, target }) => ({ fd, targets: [target] })),
    // A program has a /tmp that needs no descriptor.
    ...(entry.program ? [] : [{ fd: sys.open(`/${SCRATCH}`, O.PATH | O.CLOEXEC), targets: [TMP_FD] }]),
  ]);
  confine(entry.landlockAbi, entry.program);
  sys.installFilter(entry.filter);
  closeAllBut([...kept, ...entry.signalPipe, entry.statusPipe]);
  greet(entry);
  // A program's status pipe closes when it starts, and until then says why it does not.
  if (!entry.program) sys.close(entry.statusPipe);
}

/** Tells the worker which sandbox each connection belongs to. */
function greet({ connections, token }: Entry): void {
  for (const { name, fds } of connections) {
    const greeting = hello(token, name);
    sys.write(fds[0] as number, greeting, greeting.length);
  }
}

function enterRoot({ directory, programRoot, usrRoot, terminalMount, program, limits, hasEgress }: Entry): void {
  const root = program ? provideRoot(program, { directory, programRoot, usrRoot }, hasEgress) : mountBase(directory);
  mountOwn(root, limits, program ? "tmp" : SCRATCH, program?.root !== "finite");
  if (terminalMount !== undefined) bindTerminal(terminalMount, root);
  pivotInto(root);
}

/**
 * A host user of the sandbox's own, in a user namespace that knows no other (user_namespaces(7)).
 */
function becomeNobody(hostId: number, { uid, gid }: { uid: number; gid: number }, self: number): void {
  sys.setgroups(0, null);
  sys.setresgid(hostId, hostId, hostId);
  sys.setresuid(hostId, hostId, hostId);
  // The change of user made /proc/self root's; the maps have to be written once.
  sys.prctl(PR.SET_DUMPABLE, 1, 0, 0, 0);
  sys.unshare(CLONE.NEWUSER);
  writeInside(self, "setgroups", "deny");
  writeInside(self, "uid_map", `${uid} ${hostId} 1`);
  writeInside(self, "gid_map", `${gid} ${hostId} 1`);
  sys.prctl(PR.SET_DUMPABLE, 0, 0, 0, 0);
}

/**
 * Puts /dev/null on 0 and everything else where it belongs, and gives the descriptors that are in
 * use now.
 */
function placeDescriptors(given: readonly { fd: number; targets: readonly number[] }[]): number[] {
  const high = given.map(({ fd }) => sys.fcntl(fd, F_DUPFD_CLOEXEC, FIRST_HIGH_FD));
  sys.dup2(sys.open("/dev/null", O.RDWR), 0);
  given.forEach(({ targets }, index) => {
    for (const target of targets) sys.dup2(high[index] as number, target);
  });
  return [0, ...given.flatMap(({ targets }) => targets)];
}
