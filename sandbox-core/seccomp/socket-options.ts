/**
 * Which options of sockets a sandbox may set and read: data, by level and name, as these are values
 * in registers. An option reaches deep into the kernel: it attaches programs, loads modules, has a
 * close wait, allocates what no group is charged for, or tells of the process at the other end. So
 * what is not named is refused, for reading as for setting.
 */
import { constants } from "node:os";
import { IP, IPV6, SO, SOL, TCP } from "../abi/linux.ts";
import { allow, type Condition, pretend, type Rule, refuse } from "./rule.ts";

const { EINVAL } = constants.errno;

const option = (level: number, names: readonly number[]): Condition[] => [
  { argument: 1, equals: level },
  { argument: 2, oneOf: names },
];
const may = (calls: "setsockopt" | "getsockopt" | "both", reason: string, level: number, names: readonly number[]) =>
  allow(reason, calls === "both" ? ["setsockopt", "getsockopt"] : [calls], option(level, names));

const KEEPALIVE = [TCP.KEEPIDLE, TCP.KEEPINTVL, TCP.KEEPCNT];

/** Options that Node, its libuv and c-ares, the C library's resolver and Go's runtime ask for. */
export const SOCKET_OPTIONS: readonly Rule[] = [
  may("both", "sharing an address, noticing a dead peer, broadcasts", SOL.SOCKET, [
    SO.REUSEADDR,
    SO.REUSEPORT,
    SO.KEEPALIVE,
    SO.BROADCAST,
  ]),
  may("getsockopt", "what a socket is, and what became of it", SOL.SOCKET, [
    ...[SO.TYPE, SO.DOMAIN, SO.PROTOCOL, SO.ACCEPTCONN],
    ...[SO.ERROR, SO.SNDBUF, SO.RCVBUF],
  ]),
  pretend(
    "the size of a buffer is advice; a larger one would be memory that is charged to nobody while its connection waits to be accepted",
    ["setsockopt"],
    option(SOL.SOCKET, [SO.SNDBUF, SO.RCVBUF]),
  ),
  // A call that is to reset a connection goes on with an ordinary close when it hears this
  // (uv_tcp_close_reset).
  refuse(
    "whoever closes the last descriptor of a lingering socket sleeps",
    EINVAL,
    ["setsockopt"],
    option(SOL.SOCKET, [SO.LINGER]),
  ),
  may("both", "sending at once, and noticing a dead peer", SOL.TCP, [TCP.NODELAY, ...KEEPALIVE]),
  may(
    "both",
    "errors of packets, which the C library's resolver asks for; how far packets go, and the kind of service, which fetch says of each request",
    SOL.IP,
    [IP.RECVERR, ...[IP.TOS, IP.TTL], ...[IP.MULTICAST_IF, IP.MULTICAST_TTL, IP.MULTICAST_LOOP]],
  ),
  may("both", "the same, and whether a socket takes both versions", SOL.IPV6, [
    ...[IPV6.V6ONLY, IPV6.TCLASS],
    IPV6.RECVERR,
    IPV6.UNICAST_HOPS,
    ...[IPV6.MULTICAST_IF, IPV6.MULTICAST_HOPS, IPV6.MULTICAST_LOOP],
  ]),
];

/** Options that other programs ask for besides. */
export const SOCKET_OPTIONS_OF_COMMANDS: readonly Rule[] = [
  may("both", "limits of time, and urgent bytes", SOL.SOCKET, [SO.RCVTIMEO, SO.SNDTIMEO, SO.OOBINLINE]),
  may("getsockopt", "which user is at the other end: nobody, when that is outside", SOL.SOCKET, [
    SO.PEERCRED,
    SO.LINGER,
  ]),
  may("both", "filling segments, and limits of time", SOL.TCP, [TCP.CORK, TCP.QUICKACK, TCP.USER_TIMEOUT]),
  may("getsockopt", "how a connection fares", SOL.TCP, [TCP.INFO]),
  may("both", "how large packets may be", SOL.IP, [IP.MTU_DISCOVER]),
  may("both", "how large packets may be", SOL.IPV6, [IPV6.MTU_DISCOVER]),
];
