/** Addresses and networks of IPv4 and IPv6 as numbers, so that one can be told to hold another. */
import { isIP } from "node:net";

/** A network; an address is one with all of its bits. */
export interface IpNetwork {
  family: 4 | 6;
  /** Its first address. */
  first: bigint;
  /** How many bits its addresses have in common. */
  prefix: number;
}

const BITS = { 4: 32, 6: 128 } as const;

/** An address, or a network as `10.0.0.0/8`; null when the text is neither, or has further bits. */
export function readNetwork(text: string): IpNetwork | null {
  const [, address = "", prefixText] = /^([^/]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const family = isIP(address);
  if (family !== 4 && family !== 6) return null;
  const prefix = prefixText === undefined ? BITS[family] : Number(prefixText);
  if (prefix > BITS[family]) return null;
  const first = family === 4 ? numberOf4(address) : numberOf6(address);
  const further = (1n << BigInt(BITS[family] - prefix)) - 1n;
  return first === null || (first & further) !== 0n ? null : { family, first, prefix };
}

/** Whether all addresses of the second network are in the first. */
export function holds(outer: IpNetwork, inner: IpNetwork): boolean {
  if (outer.family !== inner.family || outer.prefix > inner.prefix) return false;
  const shift = BigInt(BITS[outer.family] - outer.prefix);
  return outer.first >> shift === inner.first >> shift;
}

/** The text of a network with its prefix, also where that has all bits. */
export function formatRange(network: IpNetwork): string {
  const text = formatNetwork(network);
  return text.includes("/") ? text : `${text}/${network.prefix}`;
}

/** The shortest text of an address (RFC 5952 for IPv6), and of a network with its prefix. */
export function formatNetwork({ family, first, prefix }: IpNetwork): string {
  const address = family === 4 ? text4(first) : text6(first);
  return prefix === BITS[family] ? address : `${address}/${prefix}`;
}

function numberOf4(address: string): bigint {
  return address.split(".").reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}

/** null for an address with a zone, which means something on one machine alone. */
function numberOf6(address: string): bigint | null {
  const url = URL.parse(`http://[${address}]/`);
  if (url === null) return null;
  const [head = "", tail] = url.hostname.slice(1, -1).split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const zeros = Array(8 - before.length - after.length).fill("0");
  return [...before, ...zeros, ...after].reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n);
}

function text4(first: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (first >> shift) & 255n).join(".");
}

function text6(first: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((first >> BigInt(112 - 16 * i)) & 65_535n).toString(16));
  return URL.parse(`http://[${groups.join(":")}]/`)?.hostname.slice(1, -1) ?? groups.join(":");
}
