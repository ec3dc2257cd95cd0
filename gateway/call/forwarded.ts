/**
 * Header fields by which a proxy tells for whom it speaks. A function believes them, so the gateway
 * says the ones that it knows itself, and lets others pass only when they come from a proxy of the
 * operator's.
 */
import type { HeaderPairs } from "../../functions/model/invocation.ts";
import type { Origin } from "../http/origins.ts";

/** The field by which a function is told who called it. */
export const CALLER_FIELD = "x-sandpiper-caller";

/** The field with the claims of a token that was verified: JSON in base64url. */
export const CLAIMS_FIELD = "x-sandpiper-claims";

const PREFIX = "x-forwarded-";
const OURS = new Set(["x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-prefix"]);
const OTHERS = new Set(["forwarded", "x-real-ip"]);

/** Fields that say who a call was let in for, and whether the function may see `authorization`. */
export interface CallerFields {
  fields: HeaderPairs;
  hidesAuthorization: boolean;
}

export interface Forwarded {
  /** The client's address. */
  address: string;
  origin: Origin;
  /** The beginning of the path that was taken off; null: none was. */
  prefix: string | null;
  /** Whether the request comes from a proxy that is believed. */
  byProxy: boolean;
  /** Without it, nobody was asked who calls. */
  caller?: CallerFields;
}

/**
 * Whether a request's own field of this name, in lower case, is dropped: the caller is said by the
 * gateway alone, also where a proxy is believed.
 */
export function isDropped(name: string, { byProxy, caller }: Forwarded): boolean {
  if (name === CALLER_FIELD || name === CLAIMS_FIELD) return true;
  if (name === "authorization") return caller?.hidesAuthorization === true;
  if (name.startsWith(PREFIX)) return !byProxy || OURS.has(name);
  return !byProxy && OTHERS.has(name);
}

/**
 * The fields that the gateway says. One address, and no list: what is in front of it in a list may
 * be a client's own invention, and many functions take the first.
 */
export function forwardedFields({ address, origin, prefix, caller }: Forwarded): HeaderPairs {
  const pairs: HeaderPairs = [
    ["x-forwarded-for", address],
    ["x-forwarded-proto", origin.scheme],
    ["x-forwarded-port", origin.port],
  ];
  if (prefix !== null) pairs.push(["x-forwarded-prefix", prefix]);
  if (caller !== undefined) pairs.push(...caller.fields);
  return pairs;
}
