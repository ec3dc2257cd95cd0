/**
 * Bounds of a sandbox's own network namespace: memory that it lets sockets take, and files that it
 * shows. All of them belong to the namespace: they are the same through every proc and for every
 * process in it, and only the host's root can change them.
 */
import { SyscallError } from "../syscall/error.ts";
import { sys } from "../syscall/libc.ts";
import { writeTo } from "../syscall/steps.ts";

/**
 * Most connections that wait for a server to accept them; one more than that do. A server's own
 * wish is cut to this.
 */
export const MOST_WAITING = 128;
/** Most bytes that a connection takes in before anybody has accepted it. */
export const FIRST_BUFFER_BYTES = 16_384;
/**
 * Most connections that the kernel remembers after their end, for a minute; others are forgotten at
 * once.
 */
export const MOST_REMEMBERED = 1_024;

/**
 * Data in a connection that nobody accepted is charged to no control group: the kernel makes the
 * connection in answer to a packet, in nobody's name (inet_csk_accept). So few may wait, with small
 * buffers. An accepted connection is charged, and its buffer grows as it is read, as everywhere.
 * Memory of one that ended is charged to nobody either (inet_twsk_alloc); it keeps packets that
 * lost their way from a later connection, and on loopback none does.
 */
const SETTINGS: readonly [name: string, value: string][] = [
  ["core/somaxconn", `${MOST_WAITING}`],
  ["ipv4/tcp_rmem", `4096 ${FIRST_BUFFER_BYTES} 1048576`],
  ["ipv4/tcp_max_tw_buckets", `${MOST_REMEMBERED}`],
];

/**
 * Files of proc_pid_net(5) with figures of the whole machine, and the one with the names that
 * sockets are bound to, the worker's among them. proc(5) has no option against them, and a mount
 * would hide them for one process.
 */
export const HIDDEN = ["sockstat", "sockstat6", "softnet_stat", "protocols", "unix", "rt_acct", "stat/rt_cache"];
const NOBODY = 0;

/** Bounds and hides for the caller's network namespace, which is new. @throws SyscallError */
export function boundNetwork(): void {
  for (const [name, value] of SETTINGS) writeTo(`/proc/sys/net/${name}`, value);
  for (const name of HIDDEN) hide(`/proc/self/net/${name}`);
}

function hide(path: string): void {
  try {
    sys.chmod(path, NOBODY);
  } catch (error) {
    // Kernels are built with more of them or fewer.
    if (!(error instanceof SyscallError && error.code === "ENOENT")) throw error;
  }
}
