/**
 * The meaning of a host name: this gateway itself, one function, or nothing that is here. No other
 * file knows which names there are.
 */
import { isIP } from "node:net";
import { previewName } from "../../functions/model/alias.ts";
import { NAME_PATTERN } from "../../functions/model/manifest.ts";
import type { BoundDomain } from "../../functions/store/domains/domains.ts";
import type { FunctionRef } from "../../functions/store/registry.ts";
import { LruMap } from "../../infra/std/lru.ts";

/** On the gateway's hosts the beginning of functions' paths: `/fn/<tenant>/<function>/`. */
export const FUNCTION_PREFIX = "/fn/";

/** The host of a URL that names one function. */
export interface FunctionHost extends FunctionRef {
  readonly kind: "function";
  /** In lower case, without port. */
  readonly name: string;
  /** The domain that holds the hosts of all functions of this tenant, and of no other. */
  readonly tenantDomain: string;
  /** Without zeros in front; empty: that of the scheme. */
  readonly port: string;
}

/** A domain that a tenant has proven to be its own, and bound to a function. */
export interface DomainHost extends FunctionRef {
  readonly kind: "domain";
  /** In lower case, without port. */
  readonly name: string;
  /** The same: nobody knows whose the hosts beside it are. */
  readonly tenantDomain: string;
  readonly port: string;
  /** Whether the function's name is that of a preview: the domain is bound to an alias. */
  readonly isPreview: boolean;
}

/** A host where a function is alone on its origin. */
export type OwnHost = FunctionHost | DomainHost;

/** The gateway itself: the control API, and below /fn/ all functions. */
export interface GatewayHost {
  readonly kind: "gateway";
  readonly port: string;
}

export type KnownHost = OwnHost | GatewayHost;
export type Host = KnownHost | { readonly kind: "unknown" | "invalid" };

export interface HostConfig {
  /** Functions have the hosts `<function>.<tenant>.<functionDomain>`. */
  functionDomain: string;
  /** Names of the gateway beside localhost, addresses and names of one label; `*`: any other. */
  gatewayHosts: readonly string[];
  publicUrl: string | null;
}

/** The proven domains, by name in lower case. */
export interface DomainLookup {
  get(name: string): BoundDomain | undefined;
}

/** Its names lead to the machine that asks (RFC 6761, section 6.3). */
const LOOPBACK_DOMAIN = "localhost";
/** A name with the dot of the root (RFC 1035, section 2.3.4), and a port. */
const MAX_LENGTH = 253 + ".".length + ":65535".length;
const FORM = /^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?$/;

/** Whoever likes to can send names of functions that there are not. */
const MAX_KNOWN = 10_000;

/** The gateway's for requests of HTTP/1.0 that name no host. */
export const NO_HOST: GatewayHost = { kind: "gateway", port: "" };
const UNKNOWN: Host = { kind: "unknown" };
const INVALID: Host = { kind: "invalid" };

export class Hosts {
  readonly functionDomain: string;
  readonly #gatewayNames: ReadonlySet<string>;
  /** By what requests say, so that a warm call looks once into a map. */
  readonly #known = new LruMap<string, Host>(MAX_KNOWN);
  readonly #domains: DomainLookup;
  readonly #publicHost: string | null;

  /** @param domains those of tenants; `forget` is to be called when they change */
  constructor({ functionDomain, gatewayHosts, publicUrl }: HostConfig, domains: DomainLookup = new Map()) {
    this.functionDomain = functionDomain;
    this.#publicHost = publicUrl === null ? null : new URL(publicUrl).hostname;
    const publicHost = this.#publicHost === null ? [] : [this.#publicHost];
    this.#gatewayNames = new Set([LOOPBACK_DOMAIN, ...publicHost, ...gatewayHosts]);
    this.#domains = domains;
  }

  /** The meaning of a `host` header field or of a target's authority, as it was sent. */
  find(text: string): Host {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const host = this.#read(text);
    // Names that mean nothing displace none that do.
    if (host.kind !== "unknown" && host.kind !== "invalid") this.#known.set(text, host);
    return host;
  }

  /**
   * The URL of a function on the host of its own, without a slash at its end; null where no host
   * leads there.
   * @param base the URL by which whoever asks reaches this gateway
   */
  urlOf(base: string, { tenant, functionName }: FunctionRef): string | null {
    const { protocol, hostname, port } = new URL(base);
    // A client elsewhere would look for it on its own machine.
    if (this.functionDomain === LOOPBACK_DOMAIN && !isLoopback(hostname)) return null;
    const host = `${functionName}.${tenant}.${this.functionDomain}${port && `:${port}`}`;
    return this.find(host).kind === "function" ? `${protocol}//${host}` : null;
  }

  /** Forgets what names mean, as a domain has changed. */
  forget(): void {
    this.#known.clear();
  }

  /**
   * Whether a name is one of this Sandpiper's own: the gateway's, the domain of functions, or below
   * it. @param name in lower case, without port
   */
  isOwn(name: string): boolean {
    return this.#isGateway(name) || `.${name}`.endsWith(`.${this.functionDomain}`);
  }

  /** Whether a name, in lower case, is that of the URL by which clients reach the gateway. */
  isPublic(name: string): boolean {
    return name === this.#publicHost;
  }

  #read(text: string): Host {
    const [, given, digits = ""] = (text.length <= MAX_LENGTH && FORM.exec(text)) || [];
    // Only the parser knows that 1.2.3.4.5 is no host and 99999 no port.
    if (given === undefined || !URL.canParse(`http://${text}/`)) return INVALID;
    const name = given.toLowerCase().replace(/\.$/, "");
    const port = digits.replace(/^0+(?=\d)/, "");
    if (this.#isGateway(name)) return { kind: "gateway", port };
    const found = this.#functionAt(name);
    if (found !== null) return { kind: "function", ...found, name, port };
    const bound = this.#domains.get(name);
    if (bound !== undefined) return domainHost(bound, name, port);
    return this.#gatewayNames.has("*") ? { kind: "gateway", port } : UNKNOWN;
  }

  #isGateway(name: string): boolean {
    if (this.#gatewayNames.has(name) || name.startsWith("[") || isIP(name) === 4) return true;
    // No public name has one label, so nobody can have a browser take their page for it.
    return !name.includes(".");
  }

  #functionAt(name: string): (FunctionRef & { tenantDomain: string }) | null {
    const [functionName = "", tenant = "", ...rest] = name.split(".", 3);
    const tenantDomain = `${tenant}.${this.functionDomain}`;
    if (rest.length === 0 || name !== `${functionName}.${tenantDomain}`) return null;
    if (!NAME_PATTERN.test(functionName) || !NAME_PATTERN.test(tenant)) return null;
    return { tenant, functionName, tenantDomain };
  }
}

function domainHost({ tenant, functionName, alias }: BoundDomain, name: string, port: string): DomainHost {
  const isPreview = alias !== null;
  const called = isPreview ? previewName(alias, functionName) : functionName;
  return { kind: "domain", tenant, functionName: called, isPreview, name, tenantDomain: name, port };
}

function isLoopback(hostname: string): boolean {
  if (hostname === LOOPBACK_DOMAIN || hostname.endsWith(`.${LOOPBACK_DOMAIN}`) || hostname === "[::1]") return true;
  return isIP(hostname) === 4 && hostname.startsWith("127.");
}
