/**
 * The target of a request line: it names a function and the part of the path that is the function's
 * own.
 */
import { splitPreviewName } from "../../functions/model/alias.ts";
import { NAME_PATTERN } from "../../functions/model/manifest.ts";
import { FUNCTION_PREFIX, type GatewayHost, type KnownHost } from "../http/hosts.ts";

export interface FunctionTarget {
  tenant: string;
  functionName: string;
  /** Below the function's URL, with the query, byte for byte as sent; starts with "/". */
  path: string;
  /** The whole target in origin form: path and query. */
  whole: string;
  /**
   * Where the function is on an origin that it shares with others; null when the origin is its own.
   */
  sharedPath: string | null;
  host: KnownHost;
  /** Whether the name is a preview's, also where a function has that very name. */
  isPreview: boolean;
}

/**
 * A target's path with its query, and the host before it that a client of a proxy sends (RFC 9112,
 * section 3.2.2).
 */
export function splitTarget(target: string): { authority: string | null; path: string } {
  if (target.startsWith("/")) return { authority: null, path: target };
  const absolute = /^https?:\/\/([^/?#]*)/i.exec(target);
  if (!absolute) return { authority: null, path: target };
  const rest = target.slice(absolute[0].length);
  return { authority: absolute[1] as string, path: rest.startsWith("/") ? rest : `/${rest}` };
}

/**
 * The function that a request is for, or null when it names none. Nothing is decoded or normalised:
 * names have no characters that would need it, and the rest belongs to the function.
 * @param whole in origin form; on the gateway's own hosts it begins with `/fn/`
 */
export function functionTarget(host: KnownHost, whole: string): FunctionTarget | null {
  if (host.kind === "gateway") return belowPrefix(host, whole);
  const { tenant, functionName } = host;
  const isPreview = host.kind === "domain" && host.isPreview;
  return { tenant, functionName, path: whole, whole, sharedPath: null, host, isPreview };
}

function belowPrefix(host: GatewayHost, whole: string): FunctionTarget | null {
  const tenantEnd = whole.indexOf("/", FUNCTION_PREFIX.length);
  if (tenantEnd === -1) return null;
  let nameEnd = tenantEnd + 1;
  while (nameEnd < whole.length && whole[nameEnd] !== "/" && whole[nameEnd] !== "?") nameEnd++;
  const tenant = whole.slice(FUNCTION_PREFIX.length, tenantEnd);
  const functionName = whole.slice(tenantEnd + 1, nameEnd);
  if (!NAME_PATTERN.test(tenant) || !isCallable(functionName)) return null;
  const rest = whole.slice(nameEnd);
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  return { tenant, functionName, path, whole, sharedPath: whole.slice(0, nameEnd), host, isPreview: false };
}

/** A preview's name may be longer than that of a function. */
function isCallable(name: string): boolean {
  if (NAME_PATTERN.test(name)) return true;
  const preview = splitPreviewName(name);
  return preview !== null && NAME_PATTERN.test(preview.functionName);
}
