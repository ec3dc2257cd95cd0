/**
 * Addresses that nobody reaches unless an operator grants the very range. The relay has the same
 * list (sandbox-core/egress), and has the last word about every address that a name leads to.
 */
import { holds, type IpNetwork, readNetwork } from "./ip-network.ts";

/** The refused ranges, what each of them is, and whether it can be granted at all. */
const RANGES: readonly { range: string; what: string; grantable: boolean }[] = [
  { range: "0.0.0.0/8", what: "this machine itself", grantable: false },
  { range: "10.0.0.0/8", what: "a private network", grantable: true },
  { range: "100.64.0.0/10", what: "a shared network of providers", grantable: true },
  { range: "127.0.0.0/8", what: "the worker's own machine (loopback)", grantable: true },
  { range: "169.254.0.0/16", what: "link-local, where clouds serve metadata and credentials", grantable: true },
  { range: "172.16.0.0/12", what: "a private network", grantable: true },
  { range: "192.0.0.0/24", what: "reserved for protocols", grantable: false },
  { range: "192.0.2.0/24", what: "reserved for documentation", grantable: false },
  { range: "192.88.99.0/24", what: "a way to IPv6 that is no longer in use", grantable: false },
  { range: "192.168.0.0/16", what: "a private network", grantable: true },
  { range: "198.18.0.0/15", what: "the block of stand-in addresses in sandboxes", grantable: false },
  { range: "198.51.100.0/24", what: "reserved for documentation", grantable: false },
  { range: "203.0.113.0/24", what: "reserved for documentation", grantable: false },
  { range: "224.0.0.0/4", what: "multicast", grantable: false },
  { range: "240.0.0.0/4", what: "reserved, or broadcast", grantable: false },
  { range: "::/128", what: "this machine itself", grantable: false },
  { range: "::1/128", what: "the worker's own machine (loopback)", grantable: false },
  { range: "::ffff:0:0/96", what: "an IPv4 address inside of IPv6", grantable: false },
  { range: "64:ff9b::/96", what: "an IPv4 address inside of IPv6", grantable: false },
  { range: "64:ff9b:1::/48", what: "an IPv4 address inside of IPv6", grantable: false },
  { range: "100::/64", what: "reserved to be dropped", grantable: false },
  { range: "2001::/23", what: "reserved for protocols", grantable: false },
  { range: "2001:db8::/32", what: "reserved for documentation", grantable: false },
  { range: "2002::/16", what: "an IPv4 address inside of IPv6", grantable: false },
  { range: "fc00::/7", what: "a private network", grantable: true },
  { range: "fe80::/10", what: "link-local", grantable: true },
  { range: "ff00::/8", what: "multicast", grantable: false },
];

/** A range that is refused unless it is granted. */
export interface RefusedRange {
  range: string;
  network: IpNetwork;
  /** A noun with its article, for messages. */
  what: string;
  /** Whether an operator can grant it, or a part of it. */
  grantable: boolean;
}

let read: readonly RefusedRange[] | undefined;

/**
 * All refused ranges, as CIDR. They are read when they are first needed: the first look at an
 * address costs 9 ms, and most commands of the command line need none.
 */
export function refusedRanges(): readonly RefusedRange[] {
  read ??= RANGES.map((entry) => ({ ...entry, network: readNetwork(entry.range) as IpNetwork }));
  return read;
}

/** The refused range that holds an address or network, or null when it is public. */
export function refusedRangeOf(network: IpNetwork): RefusedRange | null {
  return refusedRanges().find((entry) => holds(entry.network, network)) ?? null;
}
