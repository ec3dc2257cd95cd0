/**
 * Servers in threads of a function's own: their sockets are this process's, and the kernel lists
 * them in /proc (proc_pid_net(5)).
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** State of a socket that listens, in hexadecimal digits (TCP_LISTEN). */
const LISTENING = "0A";
const ANY = /^0+$/;

/** Where a socket of this process listens on TCP, as the kernel has it; null when none does. */
export function listeningSocket(): { port: number; host: string } | null {
  const own = ownSockets();
  for (const [file, loopback] of [
    ["tcp", "127.0.0.1"],
    ["tcp6", "::1"],
  ] as const) {
    for (const line of linesOf(`/proc/self/net/${file}`)) {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      if (state !== LISTENING || !own.has(inode)) continue;
      const [address = "", port = ""] = local.split(":");
      return { port: Number.parseInt(port, 16), host: ANY.test(address) || file === "tcp6" ? loopback : ipv4(address) };
    }
  }
  return null;
}

/** Inodes of the sockets that this process has. */
function ownSockets(): Set<string> {
  const inodes = new Set<string>();
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // This descriptor read the directory, and is closed.
    }
  }
  return inodes;
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n").slice(1, -1);
  } catch {
    // A kernel without IPv6.
    return [];
  }
}

/** An address as the kernel writes it: one number in the order of the machine's bytes. */
function ipv4(hex: string): string {
  return (hex.match(/../g) ?? [])
    .map((byte) => Number.parseInt(byte, 16))
    .reverse()
    .join(".");
}
