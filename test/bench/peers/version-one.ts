/**
 * A view of the machine for a program that refuses control groups of both versions at once, as crun
 * does.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, openSync } from "node:fs";

/** Where a machine with both has those of version 2. */
const UNIFIED = "/sys/fs/cgroup/unified";
/** Waits until it has been looked at. */
const HIDE = `mount -t tmpfs none ${UNIFIED} && echo && exec cat`;

/**
 * Words to put before a command so that it sees control groups of version 1 alone: nothing where
 * there are no others. It costs the command the start of one more small program.
 * @throws Error when the machine does not allow it
 */
export async function seeingVersionOne(): Promise<string[]> {
  if (!existsSync(UNIFIED)) return [];
  // Mounts of a mount namespace of its own show nowhere else.
  const maker = spawn("unshare", ["--mount", "sh", "-c", HIDE], { stdio: ["pipe", "pipe", "ignore"] });
  const ended = once(maker, "exit");
  const [ready] = await Promise.race([once(maker.stdout, "data"), ended]);
  if (!Buffer.isBuffer(ready)) throw new Error(`control groups of version 2 cannot be hidden from it (${ready})`);
  // A descriptor of the namespace keeps it when nobody is in it any more (namespaces(7)).
  const namespace = openSync(`/proc/${maker.pid}/ns/mnt`, "r");
  maker.stdin.end();
  await ended;
  return ["nsenter", `--mount=/proc/${process.pid}/fd/${namespace}`];
}
