/**
 * The address of a client, and how much one client may ask for, so that one cannot keep a gateway
 * busy for all.
 */
import type { IncomingMessage } from "node:http";
import { BlockList, isIP, type Socket } from "node:net";

export interface ClientLimits {
  /**
   * Addresses and networks whose `x-forwarded-for` and `-proto` are believed. Their connections
   * are not counted: many clients share them.
   */
  trustedProxies: readonly string[];
  /** Addresses and networks that no limit concerns. */
  unlimitedClients: readonly string[];
  /** Most connections of one client, and requests in one second; 0: any number. */
  maxClientConnections: number;
  maxClientRequestsPerSecond: number;
}

/** The other end of a connection. */
interface Peer {
  address: string;
  isProxy: boolean;
  /** Whom it is counted as; null: it is not counted. */
  client: string | null;
}

export class Clients {
  readonly #proxies: BlockList;
  readonly #unlimited: BlockList;
  readonly #maxConnections: number;
  readonly #maxRequests: number;
  readonly #peers = new WeakMap<Socket, Peer>();
  readonly #connections = new Map<string, number>();
  /** How many requests each client has sent in this second. The next one forgets them all. */
  readonly #requests = new Map<string, number>();
  #second = 0;

  constructor({ trustedProxies, unlimitedClients, maxClientConnections, maxClientRequestsPerSecond }: ClientLimits) {
    this.#proxies = networks(trustedProxies);
    this.#unlimited = networks(unlimitedClients);
    this.#maxConnections = maxClientConnections || Number.POSITIVE_INFINITY;
    this.#maxRequests = maxClientRequestsPerSecond || Number.POSITIVE_INFINITY;
  }

  /** Counts a connection for as long as it is open; false when its client has too many. */
  connect(socket: Socket): boolean {
    const peer = this.#peerOf(socket);
    if (peer.isProxy || peer.client === null) return true;
    const { client } = peer;
    const count = (this.#connections.get(client) ?? 0) + 1;
    if (count > this.#maxConnections) return false;
    this.#connections.set(client, count);
    socket.once("close", () => {
      const left = (this.#connections.get(client) ?? 0) - 1;
      if (left > 0) this.#connections.set(client, left);
      else this.#connections.delete(client);
    });
    return true;
  }

  /** Counts a request; false when its client has sent too many in this second. */
  admit(request: IncomingMessage): boolean {
    const peer = this.#peerOf(request.socket);
    const client = peer.isProxy ? this.#countedAs(this.addressOf(request)) : peer.client;
    if (client === null) return true;
    const second = Math.floor(Date.now() / 1_000);
    if (second !== this.#second) this.#requests.clear();
    this.#second = second;
    const count = (this.#requests.get(client) ?? 0) + 1;
    this.#requests.set(client, count);
    return count <= this.#maxRequests;
  }

  /** The address of whoever sent a request: what a proxy says, if that is one that is believed. */
  addressOf(request: IncomingMessage): string {
    const peer = this.#peerOf(request.socket);
    return peer.isProxy ? this.#forwarded(request.headers["x-forwarded-for"], peer.address) : peer.address;
  }

  /** Whether a request comes from a proxy that is believed. */
  isByProxy(request: IncomingMessage): boolean {
    return this.#peerOf(request.socket).isProxy;
  }

  /** The scheme that the client used, if a proxy that is believed says it; else null. */
  schemeOf(request: IncomingMessage): "http" | "https" | null {
    if (!this.isByProxy(request)) return null;
    const scheme = String(request.headers["x-forwarded-proto"] ?? "").toLowerCase();
    return scheme === "http" || scheme === "https" ? scheme : null;
  }

  /**
   * Each proxy adds whom it got the request from, so that the last address that is no proxy's is
   * the client's.
   */
  #forwarded(header: string | string[] | undefined, nearest: string): string {
    let address = nearest;
    for (const text of String(header ?? "")
      .split(",")
      .reverse()) {
      const next = addressIn(text);
      // Text that is no address was not written by a proxy of ours.
      if (next === null) return address;
      address = next;
      if (!contains(this.#proxies, address)) return address;
    }
    return address;
  }

  #peerOf(socket: Socket): Peer {
    let peer = this.#peers.get(socket);
    if (!peer) {
      const address = addressIn(socket.remoteAddress ?? "") ?? "";
      peer = { address, isProxy: contains(this.#proxies, address), client: this.#countedAs(address) };
      this.#peers.set(socket, peer);
    }
    return peer;
  }

  #countedAs(address: string): string | null {
    return contains(this.#unlimited, address) ? null : networkOf(address);
  }
}

/**
 * An address without what may surround it: a port, brackets, a zone, or IPv6 around an address of
 * IPv4. Null if it is none.
 */
function addressIn(text: string): string | null {
  const bare = text.trim().replace(/^\[([^\]]*)\](?::\d+)?$|^([\d.]+):\d+$/, "$1$2");
  const address = bare.replace(/%.*$/, "").replace(/^::ffff:(?=[\d.]+$)/i, "");
  return isIP(address) === 0 ? null : address;
}

/** The name that an address counts under: of IPv6 its /64, all of which one client has. */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [left = "", right = ""] = address.toLowerCase().split("::");
  const [head, tail] = [left, right].map((part) => (part === "" ? [] : part.split(":")));
  // An address of IPv4 at the end takes the place of two groups.
  const written = (head?.length ?? 0) + (tail?.length ?? 0) + (address.includes(".") ? 1 : 0);
  const groups = [...(head ?? []), ...Array<string>(Math.max(0, 8 - written)).fill("0"), ...(tail ?? [])];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}

function networks(texts: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of texts) {
    const [address = "", prefix] = text.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}

function contains(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}
