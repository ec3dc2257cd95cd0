/**
 * Routes by which addresses lead to a network namespace itself (ip-route(8), type local): what
 * connects to one of them meets a listener of that namespace, and packets never leave it.
 */
import {
  AF,
  NETLINK_ROUTE,
  NLM_F,
  NLMSG_ERROR,
  RT_SCOPE,
  RT_TABLE_LOCAL,
  RTA,
  RTM_NEWROUTE,
  RTN,
  RTPROT_STATIC,
  SOCK,
} from "../abi/linux.ts";
import { SyscallError } from "../syscall/error.ts";
import { sys } from "../syscall/libc.ts";

/** Addresses with their first `bits` in common, as `10.0.0.0/8` means them. */
export type Range = readonly [address: string, bits: number];

/** The index of `lo` in every network namespace. */
const LOOPBACK_INDEX = 1;
/** struct nlmsghdr; an attribute of four bytes; both and a struct rtmsg in between. */
const [HEADER_BYTES, ATTRIBUTE_BYTES, MESSAGE_BYTES] = [16, 8, 36];
/** Made once, before any fork: memory that a fork has to make is its own page faults. */
const answer = Buffer.alloc(4_096);

/**
 * Makes a route to the caller's own network namespace for each range of `local`, and leaves those
 * of `none` without any (type throw), in one system call. A route that is there already stays.
 * @throws SyscallError
 */
export function addRoutes(local: readonly Range[], none: readonly Range[]): void {
  sendRoutes(prepareRoutes(local, none));
}

/** The request for routes, for whoever makes the same ones often. */
export interface PreparedRoutes {
  batch: Buffer;
  /** The number of the message that is answered. */
  last: number;
}

/** @throws RangeError when an address is none */
export function prepareRoutes(local: readonly Range[], none: readonly Range[]): PreparedRoutes {
  const routes = [
    ...local.map((range) => ({ range, type: RTN.LOCAL, scope: RT_SCOPE.HOST })),
    ...none.map((range) => ({ range, type: RTN.THROW, scope: RT_SCOPE.UNIVERSE })),
  ];
  const last = routes.length - 1;
  const messages = routes.map((route, index) => routeMessage({ ...route, seq: index, isLast: index === last }));
  return { batch: Buffer.concat(messages), last };
}

/** Makes them, as `addRoutes` does. @throws SyscallError of the first that failed */
export function sendRoutes({ batch, last }: PreparedRoutes): void {
  const socket = sys.socket(AF.NETLINK, SOCK.RAW | SOCK.CLOEXEC, NETLINK_ROUTE);
  try {
    sys.write(socket, batch, batch.length);
    awaitAnswer(socket, last);
  } finally {
    sys.close(socket);
  }
}

interface RouteMessage {
  range: Range;
  type: number;
  scope: number;
  seq: number;
  /** The last one alone is answered when it succeeds; one that fails always is. */
  isLast: boolean;
}

function routeMessage({ range: [address, bits], type, scope, seq, isLast }: RouteMessage): Buffer {
  // A range without a route has no device either.
  const bytes = type === RTN.LOCAL ? MESSAGE_BYTES + ATTRIBUTE_BYTES : MESSAGE_BYTES;
  const message = Buffer.alloc(bytes);
  message.writeUInt32LE(bytes, 0);
  message.writeUInt16LE(RTM_NEWROUTE, 4);
  message.writeUInt16LE(NLM_F.REQUEST | NLM_F.CREATE | NLM_F.REPLACE | (isLast ? NLM_F.ACK : 0), 6);
  message.writeUInt32LE(seq, 8);
  message.set([AF.INET, bits, 0, 0, RT_TABLE_LOCAL, RTPROT_STATIC, scope, type], HEADER_BYTES);
  writeAttribute(message, MESSAGE_BYTES - ATTRIBUTE_BYTES, RTA.DST).set(bytesOf(address));
  if (type === RTN.LOCAL) writeAttribute(message, MESSAGE_BYTES, RTA.OIF).writeUInt32LE(LOOPBACK_INDEX);
  return message;
}

/** Writes the header of an attribute of four bytes, and gives its place. */
function writeAttribute(message: Buffer, at: number, kind: number): Buffer {
  message.writeUInt16LE(ATTRIBUTE_BYTES, at);
  message.writeUInt16LE(kind, at + 2);
  return message.subarray(at + 4, at + ATTRIBUTE_BYTES);
}

/** Reads answers up to that of the last message. @throws SyscallError of the first that failed */
function awaitAnswer(socket: number, last: number): void {
  for (;;) {
    const count = sys.read(socket, answer, answer.length);
    for (let at = 0; at + HEADER_BYTES + 4 <= count; at += (answer.readUInt32LE(at) + 3) & ~3) {
      if (answer.readUInt16LE(at + 4) !== NLMSG_ERROR) continue;
      const errno = -answer.readInt32LE(at + HEADER_BYTES);
      if (errno !== 0) throw new SyscallError("netlink RTM_NEWROUTE", errno);
      if (answer.readUInt32LE(at + 8) === last) return;
    }
  }
}

/** The four bytes of an address of version 4. @throws RangeError when it is none */
function bytesOf(address: string): number[] {
  const bytes = address.split(".").map(Number);
  if (bytes.length !== 4 || bytes.some((byte) => !(Number.isInteger(byte) && byte >= 0 && byte < 256)))
    throw new RangeError(`${address} is no address of version 4`);
  return bytes;
}
