/**
 * Messages of the injector of egress: lines of JSON. Whoever holds sandboxes tells it over one
 * socket what is put into whose requests; a relay tells it over another, its link, of connections.
 * Descriptors go over a socket beside each, in one message of eight bytes with a number, before the
 * line that tells of them: a link under the number 0, a connection's two ends under its own.
 */
import type { EgressInjection, EgressRefusal } from "../contract/egress.ts";

/** The number under which both ends of a link are sent: its lines, and its descriptors. */
export const LINK_NUMBER = 0;

/** The options of an injector, its one argument. */
export interface InjectorOptions {
  /** The host user that it becomes, and the group of that number. */
  uid: number;
  /** A file of certificates that are trusted as the issuers of hosts', beside the system's. */
  caFile?: string;
}

export type InjectorRequest =
  | { op: "link" }
  | { op: "open"; sandbox: number; injections: readonly EgressInjection[] }
  | { op: "close"; sandbox: number };

/** Its first word, with the certificate that sandboxes are to trust, as PEM. */
export interface InjectorResponse {
  is: "ready";
  caCertificate: string;
}

/** A connection of a sandbox: its two ends came as descriptors, the sandbox's first. */
export interface CarryRequest {
  id: number;
  sandbox: number;
  name: string;
}

/**
 * Word of a connection. `opened`: the host is who it should be. `failed`: it never opened.
 * `refused`: one request was, and `why` says for whoever wrote the function what to do. `ended`:
 * the last word.
 */
export type CarryWord =
  | { is: "opened"; id: number }
  | { is: "failed"; id: number; verdict: EgressRefusal }
  | { is: "refused"; id: number; verdict: EgressRefusal; why: string }
  | { is: "ended"; id: number };
