/**
 * The inside of an attestation: runs in a fork of the zygote that was locked in like any other, before any tenant's code
 * could be there, and asks the kernel natively, so that nothing of JavaScript stands between.
 */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { currentArchitecture, type SyscallName } from "../abi/arch.ts";
import { AF, IOCTL, O, SOCK } from "../abi/linux.ts";
import type { SyscallError } from "../syscall/error.ts";
import { sys, unixAddress } from "../syscall/libc.ts";
import { writeLine } from "../zygote/write-line.ts";
import { type AttemptName, SUCCEEDED } from "./attempts.ts";

/** The wire, as every sandbox has it. */
const WIRE_FD = 3;
const NOBODYS_PID = 2;

/** An address of TEST-NET-2 (RFC 5737), which nothing has: struct sockaddr_in, port 80. */
const ELSEWHERE = Buffer.from([AF.INET, 0, 0, 80, 198, 51, 100, 1, 0, 0, 0, 0, 0, 0, 0, 0]);

/** A call by its number, past the C library, with arguments that do nothing where no filter refuses it. */
const raw = (name: SyscallName, ...args: number[]) =>
  sys.syscall(name, currentArchitecture().syscalls[name] ?? -1, ...args);

function attempts(zygotesAbstractSocket: string): Record<AttemptName, () => unknown> {
  return {
    "read /etc/shadow": () => sys.open("/etc/shadow", O.RDONLY),
    "look into /sys": () => sys.open("/sys", O.RDONLY),
    "make a file in /": () => sys.open("/attested", O.RDWR | O.CREAT),
    "make a file in /etc": () => sys.open("/etc/attested", O.RDWR | O.CREAT),
    "look at process 2": () => sys.open(`/proc/${NOBODYS_PID}`, O.RDONLY),
    "signal process 2": () => sys.kill(NOBODYS_PID, 0),
    "look into /proc/sys": () => sys.open("/proc/sys", O.RDONLY),
    "open /proc/kcore": () => sys.open("/proc/kcore", O.RDONLY),
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
    "make a netlink socket": () => sys.socket(AF.NETLINK, SOCK.DGRAM, 0),
    "call clone3": () => raw("clone3"),
    "make a file in memory": () => raw("memfd_create"),
    "start a program": () => sys.execve("/none", [], []),
  };
}

/** Tries everything and writes what came of it to the wire, as one line of JSON; then waits until it is killed. */
export function probe(zygotesAbstractSocket: string): never {
  const tries = Object.entries(attempts(zygotesAbstractSocket)) as [AttemptName, () => unknown][];
  const results = Object.fromEntries(tries.map(([name, run]) => [name, resultOf(run)]));
  writeLine(WIRE_FD, results);
  for (;;) sys.poll(Buffer.alloc(0), 0, -1);
}

function resultOf(run: () => unknown): string {
  try {
    run();
    return SUCCEEDED;
  } catch (error) {
    return (error as SyscallError | NodeJS.ErrnoException).code ?? String(error);
  }
}
