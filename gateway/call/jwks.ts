/**
 * Keys of issuers of tokens. Tenants say where they are, so a fetch is bounded in time, bytes and
 * number, follows no redirect, and reaches no private address unless the operator allows it. Names
 * are asked by c-ares, as the system's own look-up would have a slow name server hold up threads
 * that others wait for; the hosts file is not read.
 */
import { Resolver } from "node:dns/promises";
import { request } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { createLocalJWKSet, createRemoteJWKSet, customFetch, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import type { JwtAccess } from "../../functions/model/access.ts";
import { SandpiperError } from "../../functions/model/errors.ts";
import { holds, readNetwork } from "../../functions/model/ip-network.ts";
import { refusedRangeOf } from "../../functions/model/refused-ranges.ts";
import { KIB } from "../../infra/std/bytes.ts";
import { LruMap } from "../../infra/std/lru.ts";

const FETCH_MS = 5_000;
const MAX_BYTES = 128 * KIB;
const MAX_KEYS = 100;
/** Keys count as fresh for so long, and are asked for anew at an unknown key id after the other. */
const FRESH_MS = 600_000;
const UNKNOWN_KEY_MS = 30_000;
/** After a fetch that failed nobody asks for so long; keys from before count meanwhile. */
const FAILED_MS = 10_000;
const STALE_MS = 3_600_000;
const MAX_FETCHES_OF_TENANT = 4;
const MAX_REMEMBERED = 1_000;

/** A set of keys at an address, as far as it was fetched. */
interface Remote {
  keys: JWTVerifyGetKey;
  text: string | null;
  fetchedAtMs: number;
  failedAtMs: number;
}

export class Jwks {
  readonly #allowed: readonly string[];
  readonly #remotes = new LruMap<string, Remote>(MAX_REMEMBERED);
  readonly #inline = new WeakMap<object, JWTVerifyGetKey>();
  /** Fetches under way, by tenant. */
  readonly #fetching = new Map<string, number>();

  /** @param allowed networks that are private and may be reached all the same */
  constructor(allowed: readonly string[]) {
    this.#allowed = allowed;
  }

  /**
   * The keys that a tenant's function names. Getting one throws SandpiperError JWKS_UNAVAILABLE
   * when none are known and none can be fetched.
   */
  keysOf(tenant: string, { jwks }: JwtAccess): JWTVerifyGetKey {
    if (typeof jwks === "string") return this.#remoteOf(tenant, jwks).keys;
    const known = this.#inline.get(jwks) ?? createLocalJWKSet(jwks as JSONWebKeySet);
    this.#inline.set(jwks, known);
    return known;
  }

  #remoteOf(tenant: string, url: string): Remote {
    const name = `${tenant} ${url}`;
    const known = this.#remotes.get(name);
    if (known !== undefined) return known;
    const keys = createRemoteJWKSet(new URL(url), {
      cacheMaxAge: FRESH_MS,
      cooldownDuration: UNKNOWN_KEY_MS,
      timeoutDuration: 2 * FETCH_MS,
      [customFetch]: async () => new Response(await this.#textOf(tenant, url, remote)),
    });
    const remote: Remote = { keys, text: null, fetchedAtMs: 0, failedAtMs: Number.NEGATIVE_INFINITY };
    this.#remotes.set(name, remote);
    return remote;
  }

  async #textOf(tenant: string, url: string, remote: Remote): Promise<string> {
    const nowMs = performance.now();
    const under = this.#fetching.get(tenant) ?? 0;
    if (nowMs - remote.failedAtMs < FAILED_MS || under >= MAX_FETCHES_OF_TENANT) return earlier(remote);
    this.#fetching.set(tenant, under + 1);
    try {
      remote.text = await fetchKeys(new URL(url), this.#allowed);
      remote.fetchedAtMs = performance.now();
      return remote.text;
    } catch (cause) {
      remote.failedAtMs = performance.now();
      return earlier(remote, cause);
    } finally {
      const left = (this.#fetching.get(tenant) ?? 1) - 1;
      if (left === 0) this.#fetching.delete(tenant);
      else this.#fetching.set(tenant, left);
    }
  }
}

/** Keys of before a fetch that failed, unless they are too old. */
function earlier({ text, fetchedAtMs }: Remote, cause?: unknown): string {
  if (text !== null && performance.now() - fetchedAtMs < STALE_MS) return text;
  throw new SandpiperError("JWKS_UNAVAILABLE", { cause });
}

/** The text of a set of keys. @throws Error when it is none, or not to be had */
async function fetchKeys(url: URL, allowed: readonly string[]): Promise<string> {
  const signal = AbortSignal.timeout(FETCH_MS);
  const addresses = await addressesOf(url.hostname.replace(/^\[|\]$/g, ""), allowed);
  const text = await download(url, addresses, signal);
  const { keys } = JSON.parse(text) as { keys?: unknown };
  if (!Array.isArray(keys) || keys.length > MAX_KEYS) throw new Error("it is no set of keys, or has too many");
  return text;
}

/** The addresses of a host that may be reached. @throws Error when there is none */
async function addressesOf(host: string, allowed: readonly string[]): Promise<string[]> {
  const resolver = new Resolver({ timeout: FETCH_MS / 5, tries: 2 });
  const found = isIP(host) ? [host] : (await settled([resolver.resolve4(host), resolver.resolve6(host)])).flat();
  const reachable = found.filter((address) => isAllowed(address, allowed));
  if (reachable.length === 0) throw new Error("its host has no address that may be reached");
  return reachable;
}

async function settled<T>(promises: Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(promises);
  return results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}

function isAllowed(address: string, allowed: readonly string[]): boolean {
  const network = readNetwork(address);
  if (network === null) return false;
  if (refusedRangeOf(network) === null) return true;
  return allowed.some((text) => {
    const outer = readNetwork(text);
    return outer !== null && holds(outer, network);
  });
}

function download(url: URL, addresses: readonly string[], signal: AbortSignal): Promise<string> {
  const all = addresses.map((address) => ({ address, family: isIP(address) }));
  const [first = { address: "", family: 4 }] = all;
  const lookup: LookupFunction = (_host, { all: wantsAll }, callback) => {
    if (wantsAll) callback(null, all);
    else callback(null, first.address, first.family);
  };
  return new Promise((resolve, reject) => {
    const options = { agent: false, lookup, signal, headers: { accept: "application/json" } };
    const sent = request(url, options, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      if (response.statusCode !== 200) sent.destroy(new Error(`it was answered with ${response.statusCode}`));
      response.on("error", reject);
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_BYTES) sent.destroy(new Error("it is too large"));
        else chunks.push(chunk);
      });
      response.on("end", () => resolve(Buffer.concat(chunks).toString()));
    });
    sent.on("error", reject);
    sent.end();
  });
}
