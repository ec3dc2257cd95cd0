/**
 * libuv takes a lock by reading from a pipe whenever signals are concerned, and makes that pipe
 * anew in every fork (pthread_atfork(3)). A sandbox that closed it would abort at its first signal
 * handler or child process, so it is the one pair of descriptors that lock-in has to leave open.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { O } from "../abi/linux.ts";

export type Pipe = [read: number, write: number];

/**
 * The descriptors of libuv's pipe: the only one with both ends here that blocks. A fork has its own
 * under the same numbers, since it closes the two lowest first and opens two.
 * @throws Error when there is not exactly one: this Node is not as it was when this was written
 */
export function findSignalPipe(): Pipe {
  const ends = new Map<string, number[]>();
  for (const fd of readdirSync("/proc/self/fd").map(Number)) {
    const target = linkOf(fd);
    if (target.startsWith("pipe:") && blocks(fd)) ends.set(target, [...(ends.get(target) ?? []), fd]);
  }
  const pairs = [...ends.values()].filter(({ length }) => length === 2);
  if (pairs.length !== 1) throw new Error(`expected one blocking pipe of libuv's, found ${pairs.length}`);
  return pairs[0] as Pipe;
}

/**
 * Makes sure in a fork that its own pipe is where its parent's was.
 * @throws Error when it is not
 */
export function assertPipe([read, write]: Pipe): void {
  const target = linkOf(read);
  if (!target.startsWith("pipe:") || target !== linkOf(write))
    throw new Error(`descriptors ${read} and ${write} are not libuv's pipe`);
}

function linkOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}

/** Status flags stand in octal in fdinfo (proc_pid_fdinfo(5)). */
function blocks(fd: number): boolean {
  const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "0";
  return (Number.parseInt(flags, 8) & O.NONBLOCK) === 0;
}
