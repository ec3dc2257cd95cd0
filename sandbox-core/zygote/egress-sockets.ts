/**
 * Routes and sockets in the network namespace of a sandbox that has locked itself in: whatever it
 * connects to that it may reach is a listener of its own namespace, which a relay outside serves.
 * Like files-mount.ts this goes where nobody inside may do such a thing, and returns.
 *
 * The sandbox cannot have the sockets, nor disturb them: they are root's, exclusive to their ports,
 * and there before anything of a tenant's is.
 */
import { AF, CLONE, IPPROTO, O, SO, SOCK, SOL } from "../abi/linux.ts";
import type { EgressSockets } from "../contract/egress.ts";
import { SPECIAL_ADDRESSES } from "../contract/special-addresses.ts";
import { complain } from "../fork/complain.ts";
import { MOST_WAITING } from "../fork/network.ts";
import { exitNow, sys } from "../syscall/libc.ts";
import { internetAddress } from "../syscall/sockets.ts";
import { addRoutes, bytesOf, type Range } from "./routes.ts";

/** Exit code of a zygote that must not go on. */
const EXIT_UNFIT = 71;

/** Addresses that stand for names: the block for tests of networks (RFC 2544), nobody's host. */
const STAND_INS: Range = ["198.18.0.0", 15];
const EVERYTHING: Range = ["0.0.0.0", 0];
/** Addresses that are never public: they lead nowhere, where every public one leads here. */
const NEVER_PUBLIC = SPECIAL_ADDRESSES.map((range): Range => {
  const [address = "", bits] = range.split("/");
  return [address, Number(bits)];
});

const NAMES_ADDRESS = internetAddress(Uint8Array.of(127, 0, 0, 1), 53);
const ANY_ADDRESS = Uint8Array.of(0, 0, 0, 0);
/**
 * struct linger, on and 0 seconds (socket(7)); connections have what their listener has. A relay
 * that dies leaves resets behind, not ends that look as if all had been sent.
 */
const RESET_WHEN_CLOSED = Buffer.alloc(8);
RESET_WHEN_CLOSED.writeInt32LE(1, 0);
const KIND = SOCK.CLOEXEC | SOCK.NONBLOCK;

/**
 * Makes them for the sandbox whose first process `pidfd` is of. Gives the socket for names, and a
 * listener for each port.
 * @throws SyscallError, and then no socket is left
 */
export function openEgressSockets(pidfd: number, { publicRoutes, addresses, ports }: EgressSockets): number[] {
  const routes: Range[] = [STAND_INS, ...addresses.map((address): Range => [address, 32])];
  for (const [address] of routes) bytesOf(address);
  return inNetworkOf(pidfd, () => {
    if (publicRoutes) addRoutes([...routes, EVERYTHING], NEVER_PUBLIC);
    else addRoutes(routes, []);
    return openAll([openNames, ...ports.map((port) => () => openListener(port))]);
  });
}

/** What all of them give, or nothing is left open. */
function openAll(openers: readonly (() => number)[]): number[] {
  const opened: number[] = [];
  try {
    for (const open of openers) opened.push(open());
    return opened;
  } catch (error) {
    for (const fd of opened) sys.close(fd);
    throw error;
  }
}

function openNames(): number {
  return prepared(sys.socket(AF.INET, SOCK.DGRAM | KIND, IPPROTO.DEFAULT), (fd) => {
    sys.bind(fd, NAMES_ADDRESS, NAMES_ADDRESS.length);
  });
}

function openListener(port: number): number {
  const address = internetAddress(ANY_ADDRESS, port);
  return prepared(sys.socket(AF.INET, SOCK.STREAM | KIND, IPPROTO.DEFAULT), (fd) => {
    sys.setsockopt(fd, SOL.SOCKET, SO.LINGER, RESET_WHEN_CLOSED, RESET_WHEN_CLOSED.length);
    sys.bind(fd, address, address.length);
    sys.listen(fd, MOST_WAITING);
  });
}

function prepared(fd: number, prepare: (fd: number) => void): number {
  try {
    prepare(fd);
    return fd;
  } catch (error) {
    sys.close(fd);
    throw error;
  }
}

let ownNetwork: number | undefined;

/** Does something in the network namespace of another process (setns(2)). @throws SyscallError */
function inNetworkOf<Result>(pidfd: number, work: () => Result): Result {
  ownNetwork ??= sys.open("/proc/self/ns/net", O.RDONLY | O.CLOEXEC);
  sys.setns(pidfd, CLONE.NEWNET);
  try {
    return work();
  } finally {
    returnTo(ownNetwork);
  }
}

/**
 * A zygote that cannot go back would make sockets of its own in a sandbox's network, and boxes of
 * the host's network would be in it: so it ends at once, and with it all of its sandboxes.
 */
function returnTo(own: number): void {
  try {
    sys.setns(own, CLONE.NEWNET);
  } catch (error) {
    complain(error);
    exitNow(EXIT_UNFIT);
  }
}
