/**
 * Names as the host knows them: its hosts file, and the name servers of its configuration. Only a
 * name that is declared and connected to is ever asked for.
 */
import { Resolver } from "node:dns/promises";
import { readFileSync, statSync } from "node:fs";
import { isIP, isIPv4 } from "node:net";

const [TIMEOUT_MS, TRIES] = [2_000, 3];
/** Time for which an answer is used, whatever it says itself. */
const [SHORTEST_MS, LONGEST_MS, FAILURE_MS] = [1_000, 60_000, 1_000];
const MOST_CACHED = 4_096;
/** Most names that one tenant waits for at once. */
const MOST_WAITED_FOR = 64;
/** Most addresses of one name that are looked at. */
const MOST_ADDRESSES = 8;

interface Answer {
  addresses: Promise<readonly string[]>;
  untilMs: number;
}

export interface NamesOptions {
  hostsFile: string;
  nameServers?: readonly string[];
}

export class Names {
  readonly #hosts: HostsFile;
  readonly #resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  readonly #cached = new Map<string, Answer>();
  readonly #waiting = new Map<string, number>();

  constructor({ hostsFile, nameServers }: NamesOptions) {
    this.#hosts = new HostsFile(hostsFile);
    if (nameServers) this.#resolver.setServers(nameServers);
  }

  /**
   * The addresses of a name, version 4 first; none when it has none, or nobody knows. Never
   * rejects.
   */
  async resolve(name: string, tenant: string): Promise<readonly string[]> {
    if (isIP(name) !== 0) return [name];
    const known = this.#hosts.addressesOf(name);
    if (known.length > 0) return known;
    const cached = this.#cached.get(name);
    if (cached && performance.now() < cached.untilMs) return cached.addresses;
    const waiting = this.#waiting.get(tenant) ?? 0;
    if (waiting >= MOST_WAITED_FOR) return [];
    this.#waiting.set(tenant, waiting + 1);
    try {
      return await this.#ask(name);
    } finally {
      const left = (this.#waiting.get(tenant) ?? 1) - 1;
      if (left > 0) this.#waiting.set(tenant, left);
      else this.#waiting.delete(tenant);
    }
  }

  /** Asks once for all that want the same name at a time. */
  #ask(name: string): Promise<readonly string[]> {
    const { promise: addresses, resolve } = Promise.withResolvers<readonly string[]>();
    const answer: Answer = { addresses, untilMs: Number.POSITIVE_INFINITY };
    this.#cached.delete(name);
    this.#cached.set(name, answer);
    if (this.#cached.size > MOST_CACHED) this.#cached.delete(this.#cached.keys().next().value as string);
    const four = this.#resolver.resolve4(name, { ttl: true }).catch(() => []);
    const six = this.#resolver.resolve6(name, { ttl: true }).catch(() => []);
    void Promise.all([four, six]).then((found) => {
      const records = found.flat();
      const ttlMs = Math.min(LONGEST_MS, ...records.map(({ ttl }) => ttl * 1_000));
      answer.untilMs = performance.now() + (records.length === 0 ? FAILURE_MS : Math.max(SHORTEST_MS, ttlMs));
      resolve(records.slice(0, MOST_ADDRESSES).map(({ address }) => address));
    });
    return addresses;
  }
}

/** A file like /etc/hosts (hosts(5)), read again when it has changed. */
class HostsFile {
  readonly #path: string;
  #version = "";
  #addresses = new Map<string, string[]>();

  constructor(path: string) {
    this.#path = path;
  }

  addressesOf(name: string): readonly string[] {
    this.#refresh();
    return this.#addresses.get(name) ?? [];
  }

  #refresh(): void {
    const stat = statSync(this.#path, { throwIfNoEntry: false });
    const version = stat ? `${stat.ino} ${stat.mtimeMs} ${stat.size}` : "";
    if (version === this.#version) return;
    this.#version = version;
    this.#addresses = stat ? parseHosts(readFileSync(this.#path, "utf8")) : new Map();
  }
}

function parseHosts(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const name of names.map((one) => one.toLowerCase())) {
      const others = found.get(name) ?? [];
      found.set(name, isIPv4(address) ? [address, ...others] : [...others, address]);
    }
  }
  return found;
}
