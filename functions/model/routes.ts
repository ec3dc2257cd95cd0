/** Routes: paths of a tenant's domains at which another function than the domain's own answers. */
import { readDomain } from "./domains.ts";

/** Most routes of a function, and characters of a route's path. */
export const MAX_ROUTES = 32;
export const MAX_ROUTE_PATH_LENGTH = 256;

const BELOW = "/*";
/** A path as clients send it, without encoding: segments of RFC 3986, section 3.3. */
const PATH = /^(?:\/[A-Za-z0-9._~!$&'()+,;=:@-]+)+\/?$/;

/** A route in parts. */
export interface Route {
  domain: string;
  /** Without a slash at its end when it is for what is below. */
  path: string;
  /** Whether it is for all paths below that path, and for itself; else for that path alone. */
  isPrefix: boolean;
}

/** A route as `sandpiper.jsonc` has it, or what is wrong with it as the end of a sentence. */
export function readRoute(text: string): Route | { problem: string } {
  const at = text.indexOf("/");
  const [given, rest] = at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at)];
  const domain = readDomain(given);
  if ("problem" in domain) return { problem: `before its first '/' it needs ${domain.problem}` };
  if (domain.name !== given) return { problem: `its domain is written ${domain.name}` };
  const isPrefix = rest.endsWith(BELOW);
  const path = isPrefix ? rest.slice(0, -BELOW.length) : rest;
  if (path === "" || path === "/") {
    return { problem: "it needs a path, such as /api/*; `sandpiper domain add` is for all of a domain" };
  }
  if (path.length > MAX_ROUTE_PATH_LENGTH)
    return { problem: `its path has ${MAX_ROUTE_PATH_LENGTH} characters at most` };
  const isPath = PATH.test(path) && !(isPrefix && path.endsWith("/")) && !/\/\.\.?(?:\/|$)/.test(path);
  if (!isPath) return { problem: "its path is one as clients send it, and '*' stands at its end alone, behind a '/'" };
  return { domain: domain.name, path, isPrefix };
}
