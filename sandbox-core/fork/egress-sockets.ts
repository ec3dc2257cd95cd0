/**
 * Routes and sockets of egress in the network namespace of a sandbox: whatever it connects to that
 * it may reach is a listener of its own namespace, which a relay outside serves. A fork that is
 * launched with egress makes them before it locks itself in, and its holder gets them from it. For
 * a blank sandbox its zygote makes them later (zygote/egress-hand-outs.ts).
 *
 * The sandbox cannot have the sockets, nor disturb them: they are root's, exclusive to their ports,
 * and there before anything of a tenant's is.
 */
import { AF, IPPROTO, SO, SOCK, SOL } from "../abi/linux.ts";
import type { EgressSockets } from "../contract/egress.ts";
import { SPECIAL_ADDRESSES } from "../contract/special-addresses.ts";
import type { EgressHandOver } from "../protocol/control.ts";
import { sys } from "../syscall/libc.ts";
import { internetAddress } from "../syscall/sockets.ts";
import { takeDescriptor } from "../syscall/steps.ts";
import { MOST_WAITING } from "./network.ts";
import { type PreparedRoutes, prepareRoutes, type Range, sendRoutes } from "./routes.ts";

/** Addresses that stand for names: the block for tests of networks (RFC 2544), nobody's host. */
const STAND_INS: Range = ["198.18.0.0", 15];
/** All that most sandboxes need. */
const ROUTES_FOR_NAMES = prepareRoutes([STAND_INS], []);
const EVERYTHING: Range = ["0.0.0.0", 0];
/** Addresses that are never public: they lead nowhere, where every public one leads here. */
const NEVER_PUBLIC = SPECIAL_ADDRESSES.map((range): Range => {
  const [address = "", bits] = range.split("/");
  return [address, Number(bits)];
});

const NAMES_ADDRESS = internetAddress(Uint8Array.of(127, 0, 0, 1), 53);
/** Of any address, with a port for each listener. */
const listenAddress = internetAddress(Uint8Array.of(0, 0, 0, 0), 0);
/**
 * struct linger, on and 0 seconds (socket(7)); connections have what their listener has. A relay
 * that dies leaves resets behind, not ends that look as if all had been sent.
 */
const RESET_WHEN_CLOSED = Buffer.alloc(8);
RESET_WHEN_CLOSED.writeInt32LE(1, 0);
const KIND = SOCK.CLOEXEC | SOCK.NONBLOCK;
/** A descriptor travels with one byte at least. */
const ONE_BYTE = Buffer.alloc(1);

/** The routes or sockets of a sandbox's egress could not be made, whatever else could. */
export class EgressSocketsFailure extends Error {
  constructor(cause: Error) {
    super(`the sockets of its egress could not be made: ${cause.message}`, { cause });
    this.name = "EgressSocketsFailure";
  }
}

/**
 * Makes them in a fork that has departed, and sends them to its holder.
 * @throws EgressSocketsFailure
 */
export function handOverEgress({ sockets, to }: EgressHandOver, workerPidfd: number): void {
  try {
    const holder = takeDescriptor(workerPidfd, to);
    const fds = openEgressSockets(sockets);
    sys.sendDescriptors(holder, ONE_BYTE, fds);
    for (const fd of [holder, ...fds]) sys.close(fd);
  } catch (error) {
    throw new EgressSocketsFailure(error as Error);
  }
}

/**
 * Makes them in the caller's network namespace. Gives the socket for names, and a listener for each
 * port.
 * @throws SyscallError, RangeError for what is no address, and then no socket is left
 */
export function openEgressSockets({ publicRoutes, addresses, ports }: EgressSockets): number[] {
  sendRoutes(routesFor(addresses, publicRoutes));
  const opened: number[] = [];
  try {
    openNames(opened);
    for (const port of ports) openListener(port, opened);
    return opened;
  } catch (error) {
    for (const fd of opened) sys.close(fd);
    throw error;
  }
}

function routesFor(addresses: readonly string[], publicRoutes: boolean): PreparedRoutes {
  if (!publicRoutes && addresses.length === 0) return ROUTES_FOR_NAMES;
  const routes: Range[] = [STAND_INS, ...addresses.map((address): Range => [address, 32])];
  return publicRoutes ? prepareRoutes([...routes, EVERYTHING], NEVER_PUBLIC) : prepareRoutes(routes, []);
}

function openNames(opened: number[]): void {
  const fd = sys.socket(AF.INET, SOCK.DGRAM | KIND, IPPROTO.DEFAULT);
  opened.push(fd);
  sys.bind(fd, NAMES_ADDRESS, NAMES_ADDRESS.length);
}

function openListener(port: number, opened: number[]): void {
  const fd = sys.socket(AF.INET, SOCK.STREAM | KIND, IPPROTO.DEFAULT);
  opened.push(fd);
  listenAddress.writeUInt16BE(port, 2);
  sys.setsockopt(fd, SOL.SOCKET, SO.LINGER, RESET_WHEN_CLOSED, RESET_WHEN_CLOSED.length);
  sys.bind(fd, listenAddress, listenAddress.length);
  sys.listen(fd, MOST_WAITING);
}
