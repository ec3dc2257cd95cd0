/**
 * The words of a function to browsers on a host of its own, where it may speak for its origin; a
 * domain of its tenant is one.
 * Other functions' hosts are of the same site, unless the domain of all is in the Public Suffix
 * List, and what browsers keep for a site does not pass.
 */
import type { OwnHost } from "../http/hosts.ts";

/** What `clear-site-data` clears of one origin; "cookies" are those of the whole site. */
const OF_ORIGIN = new Set(['"cache"', '"storage"', '"executionContexts"', '"clientHints"', '"prefetchCache"']);
const ALL_OF_ORIGIN = '"cache", "storage"';

/** A field as it may pass, or null when it may not. */
export function onOwnHost(name: string, value: string, host: OwnHost): string | null {
  if (name === "set-cookie") return cookieWithin(value, host);
  if (name === "clear-site-data") return clearing(value);
  // An older way to set cookies for other hosts.
  return name === "set-cookie2" ? null : value;
}

/**
 * A cookie that goes to the function's host, or to the hosts of all functions of its tenant; at a
 * domain to that and to what is below it.
 */
function cookieWithin(cookie: string, { name, tenantDomain }: OwnHost): string {
  if (!/;\s*domain/i.test(cookie)) return cookie;
  const [pair = "", ...attributes] = cookie.split(";");
  const kept = attributes.filter((attribute) => {
    const [key = "", ...rest] = attribute.split("=");
    if (key.trim().toLowerCase() !== "domain") return true;
    const domain = rest.join("=").trim().replace(/^\./, "").toLowerCase();
    return domain === name || domain === tenantDomain;
  });
  return [pair, ...kept].join(";");
}

function clearing(value: string): string | null {
  const kinds = value.split(",").map((kind) => kind.trim());
  if (kinds.includes('"*"')) return ALL_OF_ORIGIN;
  const kept = kinds.filter((kind) => OF_ORIGIN.has(kind));
  return kept.length > 0 ? kept.join(", ") : null;
}
