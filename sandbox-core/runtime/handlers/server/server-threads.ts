/**
 * Servers in threads of a function's own: their sockets are this process's, and the kernel lists
 * them in /proc (proc_pid_net(5)).
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { NetConnectOpts } from "node:net";

/** A socket that listens, by its name for people and as something to connect to. */
export interface ListeningSocket {
  /** Its port or path. */
  name: string;
  target: NetConnectOpts;
}

/** State of a TCP socket that listens, in hexadecimal digits (TCP_LISTEN). */
const LISTENING = "0A";
/** Flags of a unix socket that listens (__SO_ACCEPTCON). */
const ACCEPTS = "00010000";
const ANY = /^0+$/;
/** An address of IPv4 among those of IPv6 (RFC 4291, section 2.5.5.2), as the kernel writes it. */
const MAPPED = /^0{16}FFFF0000(?=.{8}$)/i;

/** Where sockets of this process listen, as the kernel has it. */
export function listeningSockets(): ListeningSocket[] {
  const own = ownSockets();
  const found = [...linesOf("tcp").map(internet), ...linesOf("tcp6").map(internet), ...linesOf("unix").map(local)];
  return found.filter((socket) => socket !== null && own.has(socket.inode)) as ListeningSocket[];
}

type Found = (ListeningSocket & { inode: string }) | null;

function internet(line: string): Found {
  const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
  if (state !== LISTENING) return null;
  const [address = "", digits = ""] = local.split(":");
  const port = Number.parseInt(digits, 16);
  return { inode, name: `${port}`, target: { port, host: reachable(address.replace(MAPPED, "")) } };
}

/** An address that leads to who listens on this one; of IPv6 there is the loopback alone. */
function reachable(address: string): string {
  if (address.length > "01234567".length) return "::1";
  return ANY.test(address) ? "127.0.0.1" : ipv4(address);
}

/** The path comes last, and the name of an abstract socket behind an "@" (unix(7)). */
function local(line: string): Found {
  const [, flags, inode = "", path = ""] = /^\S+: \S+ \S+ (\S+) \S+ \S+ +(\d+) (.*)$/.exec(line) ?? [];
  if (flags !== ACCEPTS) return null;
  return { inode, name: path, target: { path: path.replace(/^@/, "\0") } };
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

function linesOf(file: string): string[] {
  try {
    return readFileSync(`/proc/self/net/${file}`, "utf8").split("\n").slice(1, -1);
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
