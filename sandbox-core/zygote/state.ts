/** The state that a zygote prepares once and every launch uses. */
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { currentArchitecture } from "../abi/arch.ts";
import { CLONE, MS } from "../abi/linux.ts";
import { detectCgroups } from "../cgroup/detect.ts";
import type { CgroupDriver } from "../cgroup/driver.ts";
import { createOwnerGroup, ownerGroup, sweepDead } from "../cgroup/sweep.ts";
import type { ZygoteFacts, ZygoteOptions } from "../protocol/control.ts";
import { buildBase } from "../rootfs/base.ts";
import { buildUsrRoot } from "../rootfs/program.ts";
import { assemble, encode } from "../seccomp/assembler.ts";
import { COMMAND_POLICY } from "../seccomp/commands.ts";
import { EXEC_POLICY, FORK_POLICY } from "../seccomp/policy.ts";
import type { Policy } from "../seccomp/rule.ts";
import { landlockAbi } from "../syscall/landlock.ts";
import { sys } from "../syscall/libc.ts";
import { HostIds } from "./host-ids.ts";

export interface ZygoteState {
  cgroups: CgroupDriver;
  /** The group of this zygote's sandboxes. */
  group: string;
  ids: HostIds;
  socketPath: string;
  programRoot: string;
  /** Version of the kernel's Landlock, 0 where it has none. */
  landlockAbi: number;
  /** The root with the host's programs, once `needUsrRoot` has made it. */
  usrRoot?: string;
  /** @throws SyscallError */
  needUsrRoot(): void;
  hasRuntime: boolean;
  forksAhead: boolean;
  /** Where the files of roots are, and mount points are made. */
  directory: string;
  filters: Record<"fork" | "program" | "command", Buffer>;
  filterSha256: ZygoteFacts["filterSha256"];
}

/**
 * Gets a mount namespace of its own, the shared root, a group and a block of users; removes what
 * dead zygotes left.
 * @throws Error or SyscallError that says what this machine lacks
 */
export async function prepareZygote(options: ZygoteOptions): Promise<ZygoteState> {
  const { uidBase, uidCount, directory, socketPath, runtime, forksAhead } = options;
  const cgroups = detectCgroups();
  await sweepDead(cgroups);
  const group = ownerGroup(process.pid);
  createOwnerGroup(cgroups, group);

  sys.unshare(CLONE.NEWNS);
  // Nothing that is mounted from here on shows up on the host.
  sys.mount(null, "/", null, MS.REC | MS.PRIVATE, null);
  const programRoot = join(directory, "program");
  mkdirSync(programRoot, { recursive: true });
  buildBase(directory);

  const filters = { fork: filterOf(FORK_POLICY), program: filterOf(EXEC_POLICY), command: filterOf(COMMAND_POLICY) };
  const state: ZygoteState = {
    cgroups,
    group,
    ids: new HostIds({ uidBase, uidCount }),
    socketPath,
    programRoot,
    landlockAbi: landlockAbi(),
    filters,
    filterSha256: { fork: sha256(filters.fork), exec: sha256(filters.program) },
    hasRuntime: runtime,
    forksAhead,
    directory,
    needUsrRoot() {
      if (state.usrRoot !== undefined) return;
      const root = join(directory, "usr");
      mkdirSync(root, { recursive: true });
      buildUsrRoot(root);
      state.usrRoot = root;
    },
  };
  return state;
}

function filterOf(policy: Policy): Buffer {
  return encode(assemble(policy, currentArchitecture()));
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
