/** What the target of a request line names: a function and the part of the path that is the function's own. */
import { NAME_PATTERN } from "../functions/manifest.ts";

export interface FunctionTarget {
  tenant: string;
  functionName: string;
  /** Below the function's URL, with the query, byte for byte as sent; starts with "/". */
  path: string;
  /** The whole target in origin form: path and query. */
  whole: string;
}

export const FUNCTION_PREFIX = "/fn/";

/** A target without the scheme and host that a client of a proxy sends (RFC 9112, section 3.2.2). */
export function originForm(target: string): string {
  if (target.startsWith("/")) return target;
  const authority = /^https?:\/\/[^/?#]*/i.exec(target);
  if (!authority) return target;
  const rest = target.slice(authority[0].length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}

/**
 * The function that a target in origin form names, or null when it is no function's URL. Nothing is decoded or
 * normalised: names have no characters that would need it, and the rest belongs to the function.
 */
export function parseFunctionTarget(whole: string): FunctionTarget | null {
  const tenantEnd = whole.indexOf("/", FUNCTION_PREFIX.length);
  if (tenantEnd === -1) return null;
  let nameEnd = tenantEnd + 1;
  while (nameEnd < whole.length && whole[nameEnd] !== "/" && whole[nameEnd] !== "?") nameEnd++;
  const tenant = whole.slice(FUNCTION_PREFIX.length, tenantEnd);
  const functionName = whole.slice(tenantEnd + 1, nameEnd);
  if (!NAME_PATTERN.test(tenant) || !NAME_PATTERN.test(functionName)) return null;
  const rest = whole.slice(nameEnd);
  return { tenant, functionName, path: rest.startsWith("/") ? rest : `/${rest}`, whole };
}
