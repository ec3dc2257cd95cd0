/**
 * The form of a request that something is injected into: whatever the host and we could
 * understand in two ways is refused.
 */
import type { EgressInjection, EgressRefusal } from "../contract/egress.ts";

/** The head of a request, as its sender wrote it. */
export interface RequestHead {
  method: string;
  target: string;
  /** Values of all fields `host`. */
  hosts: readonly string[];
  /** The value of `transfer-encoding`, if there is one. */
  transferEncoding: string | undefined;
}

export interface RequestRefusal {
  verdict: EgressRefusal;
  status: 400 | 403;
  /** For whoever wrote the function: what is wrong, and what to do. */
  why: string;
}

/** Characters of a path or a query, as they may be written (RFC 3986). */
const TARGET = /^\/[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7c\x7e]*$/;
const LONGEST_SHOWN = 120;
/** Servers may decode twice; what is still encoded then is refused. */
const MOST_DECODINGS = 3;
const [MALFORMED, FORBIDDEN] = [400, 403] as const;

/** Why a request is refused, or null. */
export function judgeRequest(head: RequestHead, rule: EgressInjection): RequestRefusal | null {
  const { method, target, hosts, transferEncoding } = head;
  const { name, methods, paths } = rule;
  if (hosts.length !== 1) return malformed(`A request to ${name} has one host field.`);
  const host = (hosts[0] as string).toLowerCase();
  if (host !== name && host !== `${name}:443`) {
    const why = `A request over a connection to ${name} is for ${name}, and this one names ${shown(host)}.`;
    return { verdict: "wrong_host", status: FORBIDDEN, why };
  }
  if (transferEncoding !== undefined && transferEncoding.toLowerCase() !== "chunked") {
    return malformed("A body comes in chunks, or with its length: no other transfer-encoding is passed on.");
  }
  if (!TARGET.test(target)) return malformed("The target of a request is a path, with a query if there is one.");
  if (methods !== null && !methods.includes(method)) {
    const why = `${shown(method)} is none of the methods that the rule of ${name} lets through (${methods.join(", ")}): add it to "methods".`;
    return { verdict: "method_refused", status: FORBIDDEN, why };
  }
  return paths === null ? null : judgePath(target, name, paths);
}

function judgePath(target: string, name: string, paths: readonly string[]): RequestRefusal | null {
  const [path = ""] = target.split("?", 1);
  if (isAmbiguous(path)) {
    const why = `The path ${shown(path)} can be read in two ways: leave out "//", "..", ";.." and the like, encoded or not.`;
    return { verdict: "path_refused", status: FORBIDDEN, why };
  }
  if (paths.some((beginning) => path.startsWith(beginning))) return null;
  const why = `${shown(path)} begins with none of the paths that the rule of ${name} lets through (${paths.join(", ")}): add it to "paths".`;
  return { verdict: "path_refused", status: FORBIDDEN, why };
}

/** Whether a server may take the path for another one, once it has decoded and normalised it. */
function isAmbiguous(path: string): boolean {
  let text = path;
  for (let decodings = 0; decodings < MOST_DECODINGS; decodings++) {
    if (hasTricks(text)) return true;
    const decoded = decode(text);
    if (decoded === null) return true;
    if (decoded === text) return false;
    // A "/" that was encoded is one for some servers, and none for others.
    if (decoded.split("/").length !== text.split("/").length) return true;
    text = decoded;
  }
  return true;
}

function hasTricks(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
  if (/[\\\x00-\x1f\x7f]|\/\//.test(text)) return true;
  return text.split("/").some((segment) => /^\.{1,2}(?:[;?#]|$)/.test(segment));
}

/** One decoding of percents, of bytes as Latin 1; null where a "%" begins none. */
function decode(text: string): string | null {
  if (/%(?![0-9a-f]{2})/i.test(text)) return null;
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function malformed(why: string): RequestRefusal {
  return { verdict: "malformed_request", status: MALFORMED, why };
}

function shown(text: string): string {
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}
