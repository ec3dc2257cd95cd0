/**
 * The words of a function to browsers where others have the same origin: below /fn/ a browser takes
 * all tenants for one site. Fields that concern more than their own answer do not pass there, and
 * cookies are for their function's URL alone. A function with a host of its own says what it likes.
 */

import { FUNCTION_PREFIX } from "../http/hosts.ts";

/**
 * Fields that browsers keep for a whole origin or host, or let act on other paths of it; each with
 * what it would do there.
 */
export const ORIGIN_WIDE: Readonly<Record<string, string>> = {
  "accept-ch": "asks for more facts about the browser with every request to the origin",
  "accept-ch-lifetime": "an older form of it",
  "critical-ch": "has requests repeated with such facts",
  "alt-svc": "moves the origin to another server or port",
  "attribution-reporting-register-source": "registers events of advertising in the origin's name",
  "attribution-reporting-register-trigger": "the same",
  "attribution-reporting-register-os-source": "the same, with the device's system",
  "attribution-reporting-register-os-trigger": "the same",
  "clear-site-data": "deletes cookies, storage and caches of all",
  "expect-ct": "sets a policy for the host's certificates",
  "expect-staple": "the same",
  nel: "reports network errors of the whole origin to whom it names",
  "report-to": "says where reports of the whole origin go",
  "reporting-endpoints": "names where reports go, under names that others' policies use",
  "origin-agent-cluster": "the first answer decides for the whole origin",
  "public-key-pins": "pins keys of the host's certificates: nobody else's are taken then",
  "public-key-pins-report-only": "reports certificates of the host",
  "sec-session-registration": "binds a session of the whole site to the browser",
  "secure-session-registration": "the same",
  "sec-session-challenge": "the same",
  "secure-session-challenge": "the same",
  "service-worker-allowed": "lets a script answer the requests of all paths",
  "set-cookie2": "sets a cookie by rules of its own",
  "set-login": "says for the whole origin whether the user is logged in",
  "shared-storage-write": "writes into storage of the whole origin",
  "strict-transport-security": "has the host, and all below it, use TLS for as long as it says",
  "use-as-dictionary": "has the browser offer a dictionary with requests for others' paths",
};

/** Where a function is on an origin that others share. */
export interface SharedSite {
  readonly kind: "shared";
  /** Scheme, host and port. */
  readonly origin: string;
  /** Without a slash at its end. */
  readonly path: string;
  /** Whether the function finds itself at this path, and not at the root. */
  readonly seesPath: boolean;
}

/** A field as it may pass, or null when it may not. */
export function onSharedOrigin(name: string, value: string, site: SharedSite): string | null {
  if (name === "set-cookie") return cookieBelow(value, site.path);
  if (name === "location") return site.seesPath ? value : locationBelow(value, site);
  return Object.hasOwn(ORIGIN_WIDE, name) ? null : value;
}

/** A cookie that is sent to its function alone. */
function cookieBelow(cookie: string, path: string): string | null {
  // The prefix promises `Path=/`, which is not to be had here, and browsers would refuse it.
  if (/^\s*__host-/i.test(cookie)) return null;
  const [pair = "", ...attributes] = cookie.split(";");
  let wanted = "";
  const kept = attributes.filter((attribute) => {
    const [name = "", ...rest] = attribute.split("=");
    const key = name.trim().toLowerCase();
    // Browsers take the last one.
    if (key === "path") wanted = rest.join("=").trim();
    return key !== "path" && key !== "domain";
  });
  return [pair, ...kept, ` Path=${pathBelow(wanted, path)}`].join(";");
}

/** A function finds itself at the root: a path that does not name it is one below it. */
function pathBelow(wanted: string, path: string): string {
  if (wanted === path || wanted.startsWith(`${path}/`)) return wanted;
  return wanted.startsWith("/") && wanted !== "/" ? path + wanted : path;
}

/**
 * A redirect as browsers must see it: the function finds itself at the root, and what it calls a
 * path of its own is one below its URL. A path of any function, below /fn/, stays what it is.
 */
function locationBelow(location: string, { origin, path }: SharedSite): string {
  const isPath = /^\/(?![/\\])/.test(location);
  const isOwnUrl =
    !isPath && /^https?:\/\//i.test(location) && URL.parse(location)?.origin === URL.parse(origin)?.origin;
  if (!isPath && !isOwnUrl) return location;
  const wanted = isPath ? location : location.replace(/^https?:\/\/[^/?#]*/i, "");
  const base = path.slice(0, path.indexOf(FUNCTION_PREFIX));
  const below = wanted.startsWith(base + FUNCTION_PREFIX) ? wanted : path + wanted;
  return isPath ? below : origin + below;
}
