/**
 * Addresses that are refused always: all that are not public hosts of others. A range that was
 * granted to a sandbox is the one exception.
 */
import { BlockList, isIP, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import type { EgressPrivateName } from "../contract/egress.ts";
import { SPECIAL_ADDRESSES } from "../contract/special-addresses.ts";

/** IANA's registries of special-purpose addresses, and what leads to version 4 from within 6. */
const NEVER_PUBLIC: readonly string[] = [
  ...SPECIAL_ADDRESSES,
  "127.0.0.0/8",
  "198.18.0.0/15",
  "2001::/23",
  "2001:db8::/32",
  "2002::/16",
  "3fff::/20",
];
/** The only part of version 6 that is given out to hosts (global unicast). */
const GLOBAL: readonly string[] = ["2000::/3"];
/**
 * Where clouds give a machine its credentials. A wider range that is granted does not grant these:
 * each takes a grant of its own, like `169.254.169.254/32`.
 */
const METADATA: readonly string[] = [
  "169.254.169.254/32",
  "169.254.170.2/32",
  "fd00:ec2::254/128",
  "100.100.100.200/32",
];

const neverPublic = rangesOf(NEVER_PUBLIC);
const globalUnicast = rangesOf(GLOBAL);
const metadata = rangesOf(METADATA);
/** Loopback, and what a listener on all addresses is called, which connects to loopback. */
const here = rangesOf(["0.0.0.0/8", "127.0.0.0/8", "::/127"]);

/** Time for which the host's own addresses are taken for known. */
const OWN_MS = 2_000;

/** @throws Error when one is no range */
export function rangesOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = "", bits = ""] = range.split("/");
    if (isIP(address) === 0 || !/^\d{1,3}$/.test(bits)) throw new Error(`${range} is no range like 10.0.0.0/8`);
    list.addSubnet(address, Number(bits), family(address));
  }
  return list;
}

/** Ranges that were granted to a sandbox. */
class GrantedRanges {
  readonly #ranges: BlockList;
  readonly #exact: ReadonlySet<string>;

  /** @throws Error when one is no range */
  constructor(ranges: readonly string[]) {
    this.#ranges = rangesOf(ranges);
    this.#exact = new Set(ranges);
  }

  holds(address: string): boolean {
    if (isMapped(address) || !holds(this.#ranges, address)) return false;
    return !holds(metadata, address) || this.#exact.has(`${address}/${isIPv6(address) ? 128 : 32}`);
  }
}

/** Asks about addresses for one sandbox. */
export class AddressGuard {
  readonly #granted: GrantedRanges;
  readonly #ofNames: readonly { to: EgressPrivateName["to"]; granted: GrantedRanges }[];

  /**
   * @param privateNames ranges that are granted for certain names
   * @throws Error when one is no range
   */
  constructor(privateRanges: readonly string[], privateNames: readonly EgressPrivateName[] = []) {
    this.#granted = new GrantedRanges(privateRanges);
    this.#ofNames = privateNames.map(({ to, range }) => ({ to, granted: new GrantedRanges([range]) }));
  }

  /**
   * Whether an address was granted by its range, so that it counts as public.
   * @param name that led to it, if one did
   */
  isGranted(address: string, name: string | null = null): boolean {
    if (this.#granted.holds(address)) return true;
    return name !== null && this.#ofNames.some(({ to, granted }) => isNameOf(to, name) && granted.holds(address));
  }

  /**
   * Whether the sandbox may reach an address, as far as the kind of address goes.
   * @param name that led to it, if one did
   */
  mayReach(address: string, name: string | null = null): boolean {
    if (this.isGranted(address, name)) return true;
    if (isIP(address) === 0 || isMapped(address) || holds(neverPublic, address) || isOwn(address)) return false;
    return !isIPv6(address) || holds(globalUnicast, address);
  }
}

/** Whether the address leads to this machine itself, whichever of its addresses that is. */
export function isThisMachine(address: string): boolean {
  return isIP(address) !== 0 && (holds(here, address) || isMapped(address) || isOwn(address));
}

function isNameOf(to: EgressPrivateName["to"], name: string): boolean {
  return to.kind === "name" ? name === to.name : name.endsWith(to.suffix) && name.length > to.suffix.length;
}

/** Version 4 inside of 6; a list would look at the inner one. */
function isMapped(address: string): boolean {
  return isIPv6(address) && holds(inner, address);
}

const inner = rangesOf(["::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48"]);

let own = { list: new BlockList(), untilMs: 0 };

/** Whether the address is this host's. */
function isOwn(address: string): boolean {
  if (performance.now() >= own.untilMs) own = { list: ownAddresses(), untilMs: performance.now() + OWN_MS };
  return holds(own.list, address);
}

function ownAddresses(): BlockList {
  const list = new BlockList();
  for (const { address } of Object.values(networkInterfaces()).flatMap((all) => all ?? []))
    list.addAddress(address, family(address));
  return list;
}

function holds(list: BlockList, address: string): boolean {
  return list.check(address, family(address));
}

function family(address: string): "ipv4" | "ipv6" {
  return isIPv6(address) ? "ipv6" : "ipv4";
}
