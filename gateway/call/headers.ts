/**
 * Header fields on their way through: raw pairs in their order, without those that concern one
 * connection only.
 */
import { SandpiperError } from "../../functions/model/errors.ts";
import { type HeaderPairs, REQUEST_LIMITS } from "../../functions/model/invocation.ts";
import { KIB } from "../../infra/std/bytes.ts";
import { type Forwarded, forwardedFields, isDropped } from "./forwarded.ts";
import { onOwnHost } from "./own-host.ts";
import { onSharedOrigin } from "./shared-origin.ts";
import type { Site } from "./site.ts";

/**
 * Fields of one hop (RFC 9110, section 7.6.1), and `expect`, which the gateway itself has answered.
 */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
  "http2-settings",
]);

/** Fields that the gateway says itself; a function's own words on these are dropped. */
const OURS = new Set(["content-length", "x-request-id", "x-sandpiper-outcome", "x-sandpiper-version"]);

/** Most characters of all fields of a reply together; clients refuse more. */
const MAX_REPLY_HEADER_LENGTH = 64 * KIB;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Tab, visible ASCII, space and Latin-1's upper half (RFC 9110, section 5.5). */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Longest reason phrase that is passed on. */
const MAX_REASON_LENGTH = 256;

/**
 * The fields that a function gets of a request, and those by which the gateway tells of its client.
 * @param raw names and values in turn, as node gives them.
 * @throws SandpiperError HEADERS_TOO_LARGE for more than a sandbox can be told.
 */
export function requestHeaders(raw: readonly string[], forwarded: Forwarded): HeaderPairs {
  const pairs = forwardedFields(forwarded);
  const said = pairs.length;
  let length = 0;
  for (const [name, value] of pairs) length += name.length + value.length;
  let named: Set<string> | null = null;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    const value = raw[i + 1] as string;
    if (name === "connection") named = namedBy(value, named);
    if (HOP_BY_HOP.has(name) || isDropped(name, forwarded)) continue;
    length += name.length + value.length;
    if (name.length > REQUEST_LIMITS.headerNameLength || value.length > REQUEST_LIMITS.headerValueLength) {
      throw tooLarge(`The header field ${cut(name)} is longer than a function can take`);
    }
    pairs.push([name, value]);
  }
  if (pairs.length > REQUEST_LIMITS.headers) {
    const count = `${pairs.length} header fields, those that the gateway adds among them`;
    throw tooLarge(`The request has ${count}, and a function can take ${REQUEST_LIMITS.headers}`);
  }
  if (length > REQUEST_LIMITS.headersLength) {
    throw tooLarge(
      `The header fields are longer than the ${REQUEST_LIMITS.headersLength} characters that a function can take`,
    );
  }
  // Fields that the gateway says itself are not a client's to remove.
  return named === null ? pairs : pairs.filter(([name], index) => index < said || !named.has(name));
}

/**
 * The fields that a `connection` field names besides the usual ones: they concern this connection
 * only.
 */
function namedBy(value: string, named: Set<string> | null): Set<string> | null {
  // Nearly every request says just this.
  if (value === "keep-alive" || value === "close") return named;
  const names = named ?? new Set<string>();
  for (const token of value.split(",")) names.add(token.trim().toLowerCase());
  // These are not a client's to remove: they say who asks for what.
  for (const kept of ["host", "authorization", "cookie", "content-type", "content-length"]) names.delete(kept);
  return names;
}

/** Fields for node's `writeHead`, names and values in turn, or what is wrong with them. */
export type CheckedHeaders = { ok: true; raw: string[] } | { ok: false; problem: string };

/** Checks the fields that a function replied with, and drops those that are not its to set. */
export function replyHeaders(pairs: HeaderPairs, site: Site): CheckedHeaders {
  const raw: string[] = [];
  let length = 0;
  for (const [given, value] of pairs) {
    const name = given.toLowerCase();
    if (!TOKEN.test(name)) return { ok: false, problem: `a header field has the name ${JSON.stringify(cut(given))}` };
    if (!VALUE.test(value)) {
      return {
        ok: false,
        problem: `the header field ${cut(name)} has a line break or another character that may not be`,
      };
    }
    length += name.length + value.length;
    if (HOP_BY_HOP.has(name) || OURS.has(name)) continue;
    const passed = site.kind === "shared" ? onSharedOrigin(name, value, site) : onOwnHost(name, value, site);
    if (passed !== null) raw.push(name, passed);
  }
  if (length > MAX_REPLY_HEADER_LENGTH) {
    return { ok: false, problem: `its header fields are longer than ${MAX_REPLY_HEADER_LENGTH} characters` };
  }
  return { ok: true, raw };
}

/**
 * The length that a reply to HEAD may announce: what the function said, if that is one plain
 * number.
 */
export function announcedLength(pairs: HeaderPairs): string | null {
  const values = pairs.filter(([name]) => name.toLowerCase() === "content-length").map(([, value]) => value);
  const [value] = values;
  return values.length === 1 && value !== undefined && /^\d{1,15}$/.test(value) ? value : null;
}

/**
 * The reason phrase that a function gave, when it can be sent; else there is the usual one of the
 * status.
 */
export function reasonPhrase(statusText: string | undefined): string | undefined {
  if (!statusText || statusText.length > MAX_REASON_LENGTH) return undefined;
  return VALUE.test(statusText) ? statusText : undefined;
}

function tooLarge(what: string): SandpiperError {
  return new SandpiperError("HEADERS_TOO_LARGE", { message: `${what}.` });
}

function cut(text: string): string {
  return text.slice(0, 60);
}
