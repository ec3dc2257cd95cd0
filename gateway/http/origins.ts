/** Scheme, host and port by which a client reaches what it asks for. */
import type { IncomingMessage } from "node:http";
import type { Clients } from "./clients.ts";
import type { KnownHost } from "./hosts.ts";

/** An origin as browsers have it. */
export interface Origin {
  scheme: "http" | "https";
  port: string;
  /** Scheme, host and port, as the client wrote them. */
  url: string;
}

export class Origins {
  /**
   * The beginning of paths that a proxy takes off before they come here; without a slash at its
   * end.
   */
  readonly basePath: string;
  readonly #public: Origin | null;
  readonly #clients: Clients;
  readonly #ownUrl: () => string;

  /**
   * @param publicUrl where clients reach this gateway, if that is configured
   * @param ownUrl where this gateway listens, for requests that name no host
   */
  constructor({ publicUrl }: { publicUrl: string | null }, clients: Clients, ownUrl: () => string) {
    this.#public = publicUrl === null ? null : originOf(new URL(publicUrl));
    this.basePath = publicUrl === null ? "" : new URL(publicUrl).pathname.replace(/\/+$/, "");
    this.#clients = clients;
    this.#ownUrl = ownUrl;
  }

  /** Where clients reach this gateway, as they see it; without a slash at its end. */
  baseUrl(request: IncomingMessage): string {
    return (this.#public?.url ?? this.#seen(request)) + this.basePath;
  }

  /** The origin that a request is for. @param host what its host name means */
  of(request: IncomingMessage, { kind, port }: KnownHost): Origin {
    if (kind === "gateway" && this.#public !== null) return this.#public;
    if (request.headers.host === undefined) return originOf(new URL(this.#ownUrl()));
    const scheme = this.#schemeOf(request);
    return { scheme, port: port || defaultPort(scheme), url: this.#seen(request) };
  }

  /** call/arrival.ts has checked the host. */
  #seen(request: IncomingMessage): string {
    const { host } = request.headers;
    return host === undefined ? this.#ownUrl() : `${this.#schemeOf(request)}://${host}`;
  }

  /** What a proxy says that is believed, or else what is configured. */
  #schemeOf(request: IncomingMessage): Origin["scheme"] {
    return this.#clients.schemeOf(request) ?? this.#public?.scheme ?? "http";
  }
}

function originOf({ protocol, port, origin }: URL): Origin {
  const scheme = protocol === "https:" ? "https" : "http";
  return { scheme, port: port || defaultPort(scheme), url: origin };
}

function defaultPort(scheme: Origin["scheme"]): string {
  return scheme === "https" ? "443" : "80";
}
