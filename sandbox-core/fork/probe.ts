/**
 * The inside of an attestation: runs in a fork of the zygote that was locked in like any other,
 * before any tenant's code could be there, and asks the kernel natively, so that nothing of
 * JavaScript stands between.
 */

import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { currentArchitecture, type SyscallName } from "../abi/arch.ts";
import { AF, IOCTL, O, SO, SOCK, SOL } from "../abi/linux.ts";
import { SyscallError } from "../syscall/error.ts";
import { sys } from "../syscall/libc.ts";
import { internetAddress, unixAddress } from "../syscall/sockets.ts";
import { isWritable } from "../syscall/steps.ts";
import { writeLine } from "../syscall/write-line.ts";
import { ATTESTED_EGRESS, type AttemptName, SUCCEEDED } from "./attempts.ts";
import { FIRST_BUFFER_BYTES, MOST_WAITING } from "./network.ts";

/** The wire, as every sandbox has it. */
const WIRE_FD = 3;
const NOBODYS_PID = 2;
const HANDSHAKE_MS = 10;

/** An address of TEST-NET-2 (RFC 5737), which nothing has: struct sockaddr_in, port 80. */
const ELSEWHERE = Buffer.from([AF.INET, 0, 0, 80, 198, 51, 100, 1, 0, 0, 0, 0, 0, 0, 0, 0]);

/**
 * A call by its number, past the C library, with arguments that do nothing where no filter refuses
 * it.
 */
const raw = (name: SyscallName, ...args: number[]) =>
  sys.syscall(name, currentArchitecture().syscalls[name] ?? -1, ...args);

type Attempts = Partial<Record<AttemptName, () => unknown>>;

function attempts(zygotesAbstractSocket: string): Attempts {
  return {
    "read /etc/shadow": () => sys.open("/etc/shadow", O.RDONLY),
    "look into /sys": () => sys.open("/sys", O.RDONLY),
    "make a file in /": () => sys.open("/attested", O.RDWR | O.CREAT),
    "make a file in /etc": () => sys.open("/etc/attested", O.RDWR | O.CREAT),
    "look at process 2": () => sys.open(`/proc/${NOBODYS_PID}`, O.RDONLY),
    "signal process 2": () => sys.kill(NOBODYS_PID, 0),
    "look into /proc/sys": () => sys.open("/proc/sys", O.RDONLY),
    "open /proc/kcore": () => sys.open("/proc/kcore", O.RDONLY),
    "count the machine's sockets": () => sys.open("/proc/self/net/sockstat", O.RDONLY),
    "read the names of sockets": () => sys.open("/proc/self/net/unix", O.RDONLY),
    "have one connection more wait": haveOneMoreWait,
    "have a large buffer before it is accepted": haveLargeBuffer,
    // The byte is a blank, which does no harm before the report where it can be sent.
    "send a descriptor to the worker": () => sys.sendDescriptors(WIRE_FD, Buffer.from(" "), [0]),
    "connect to another network": () => sys.connect(sys.socket(AF.INET, SOCK.DGRAM, 0), ELSEWHERE, ELSEWHERE.length),
    "connect to an abstract socket of the zygote's": () => {
      const address = unixAddress(zygotesAbstractSocket);
      sys.connect(sys.socket(AF.UNIX, SOCK.DGRAM, 0), address, address.length);
    },
    "become root": () => sys.setresuid(0, 0, 0),
    mount: () => sys.mount("none", "/tmp", "tmpfs", 0, null),
    "use a device's ioctl": () => sys.ioctl(sys.open("/dev/null", O.RDWR), IOCTL.TCGETS, Buffer.alloc(64)),
    "move a file to another directory": () => {
      mkdirSync("/tmp/from");
      mkdirSync("/tmp/to");
      writeFileSync("/tmp/from/file", "");
      renameSync("/tmp/from/file", "/tmp/to/file");
    },
    unshare: () => sys.unshare(0),
    "trace a process": () => raw("ptrace", -1),
    "use a keyring": () => raw("keyctl", -1),
    "make a ring of io_uring": () => raw("io_uring_setup"),
    "change the execution domain": () => raw("personality", 0xffff_ffff),
    "have a close linger": () => sys.setsockopt(WIRE_FD, SOL.SOCKET, SO.LINGER, Buffer.alloc(8), 8),
    "attach a filter to a socket": () => sys.setsockopt(WIRE_FD, SOL.SOCKET, SO.ATTACH_FILTER, Buffer.alloc(16), 16),
    "have a descriptor of the worker's process": () => readOption(WIRE_FD, SO.PEERPIDFD),
    "make a netlink socket": () => sys.socket(AF.NETLINK, SOCK.DGRAM, 0),
    "call clone3": () => raw("clone3"),
    "make a file in memory": () => raw("memfd_create"),
    "start a program": () => sys.execve("/none", [], []),
  };
}

/** Loopback, at the port of the server that the probe makes: struct sockaddr_in. */
const SERVER = Buffer.from([AF.INET, 0, 0x80, 0x80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);

/**
 * Connects to a server that accepts nobody until no more should be let in: ENOTCONN when the last
 * is not connected.
 */
function haveOneMoreWait(): void {
  const server = sys.socket(AF.INET, SOCK.STREAM, 0);
  sys.bind(server, SERVER, SERVER.length);
  raw("listen", server, 0xffff);
  let last = -1;
  // As many wait as may, and one.
  for (let waiting = 0; waiting < MOST_WAITING + 2; waiting++) {
    last = sys.socket(AF.INET, SOCK.STREAM | SOCK.NONBLOCK, 0);
    resultOf(() => sys.connect(last, SERVER, SERVER.length));
  }
  // A handshake on loopback is done at once, or by the kernel's thread a moment later.
  isWritable(last, HANDSHAKE_MS);
  sys.getpeername(last, Buffer.alloc(SERVER.length), lengthOf(SERVER));
}

/** Reads what a new connection begins with: ENOBUFS when that is no more than it should be. */
function haveLargeBuffer(): void {
  const bytes = readOption(sys.socket(AF.INET, SOCK.STREAM, 0), SO.RCVBUF);
  if (bytes <= FIRST_BUFFER_BYTES) throw new SyscallError("getsockopt", constants.errno.ENOBUFS);
}

function readOption(socket: number, option: number): number {
  const value = Buffer.alloc(4);
  sys.getsockopt(socket, SOL.SOCKET, option, value, lengthOf(value));
  return value.readInt32LE(0);
}

/** A socklen_t with the length of these bytes. */
function lengthOf(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length, 0);
  return length;
}

/** Attempts in a sandbox with egress to `ATTESTED_EGRESS`. */
function egressAttempts(): Attempts {
  const { address, port } = ATTESTED_EGRESS;
  const declared = Uint8Array.from(address.split(".").map(Number));
  const beside = declared.map((byte, index) => (index === 3 ? byte + 1 : byte));
  const connectTo = (host: Uint8Array, toPort: number) => {
    const to = internetAddress(host, toPort);
    sys.connect(sys.socket(AF.INET, SOCK.STREAM, 0), to, to.length);
  };
  return {
    "connect to a declared address": () => connectTo(declared, port),
    "connect to it at another port": () => connectTo(declared, port + 1),
    "connect to an address beside it": () => connectTo(beside, port),
    "listen at a declared port": () => {
      const here = internetAddress(Uint8Array.of(0, 0, 0, 0), port);
      sys.bind(sys.socket(AF.INET, SOCK.STREAM, 0), here, here.length);
    },
  };
}

/**
 * Tries everything and writes what came of it to the wire, as one line of JSON. Waits for a byte,
 * which says that there is egress, and does the same with that; then waits until it is killed.
 */
export function probe(zygotesAbstractSocket: string): never {
  report(attempts(zygotesAbstractSocket));
  sys.read(WIRE_FD, Buffer.alloc(1), 1);
  report(egressAttempts());
  for (;;) sys.poll(Buffer.alloc(0), 0, -1);
}

function report(tries: Attempts): void {
  writeLine(WIRE_FD, Object.fromEntries(Object.entries(tries).map(([name, run]) => [name, resultOf(run)])));
}

function resultOf(run: () => unknown): string {
  try {
    run();
    return SUCCEEDED;
  } catch (error) {
    return (error as SyscallError | NodeJS.ErrnoException).code ?? String(error);
  }
}
