/** A view of the machine for a program that refuses control groups of both versions at once, as crun does. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import type { Socket } from "node:net";

/** Where a machine with both has those of version 2. */
const UNIFIED = "/sys/fs/cgroup/unified";
/** Ends with us, as its input does then. */
const HOLD = `mount -t tmpfs none ${UNIFIED} && echo && exec cat`;

/**
 * What to put before a command so that it sees control groups of version 1 alone: nothing where there are no others. It costs
 * the command the start of one more small program.
 * @throws Error when the machine does not allow it
 */
export async function seeingVersionOne(): Promise<string[]> {
  if (!existsSync(UNIFIED)) return [];
  // Mounts of a mount namespace of its own show nowhere else.
  const holder = spawn("unshare", ["--mount", "sh", "-c", HOLD], { stdio: ["pipe", "pipe", "ignore"] });
  const [ready] = await Promise.race([once(holder.stdout, "data"), once(holder, "exit")]);
  if (!Buffer.isBuffer(ready)) throw new Error(`control groups of version 2 cannot be hidden from it (${ready})`);
  for (const held of [holder, holder.stdin as Socket, holder.stdout as Socket]) held.unref();
  return ["nsenter", `--mount=/proc/${holder.pid}/ns/mnt`];
}
