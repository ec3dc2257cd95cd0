/**
 * Signed URLs: anybody who has one may call the function, with one method and one path, until it
 * expires. Their three parameters are not the function's, and it never sees them.
 */

/** Names of the query parameters, as they stand in a URL. */
export const SIGNED_PARAMETERS = { expires: "sp-expires", key: "sp-key", signature: "sp-signature" } as const;

/** Longest time that a signed URL counts: 7 days. */
export const MAX_SIGNED_MS = 604_800_000;

/** Longest path with query that can be signed. */
export const MAX_SIGNED_PATH_LENGTH = 8_192;

const METHOD = /^[A-Z]{1,20}$/;
const OURS: ReadonlySet<string> = new Set(Object.values(SIGNED_PARAMETERS));

/** The values of the three parameters; of each there may be none, or several. */
export interface SignedParameters {
  expires: string[];
  key: string[];
  signature: string[];
}

/**
 * Takes the three parameters out of a path with query. The rest keeps its bytes and its order.
 * Names are compared as they stand: a name in percent-encoding is one of the function's own.
 */
export function splitSigned(path: string): { path: string; found: SignedParameters } {
  const found: SignedParameters = { expires: [], key: [], signature: [] };
  const at = path.indexOf("?");
  if (at === -1) return { path, found };
  const rest: string[] = [];
  for (const part of path.slice(at + 1).split("&")) {
    const equals = part.indexOf("=");
    const name = equals === -1 ? part : part.slice(0, equals);
    const value = equals === -1 ? "" : part.slice(equals + 1);
    if (name === SIGNED_PARAMETERS.expires) found.expires.push(value);
    else if (name === SIGNED_PARAMETERS.key) found.key.push(value);
    else if (name === SIGNED_PARAMETERS.signature) found.signature.push(value);
    else rest.push(part);
  }
  return { path: rest.length === 0 ? path.slice(0, at) : `${path.slice(0, at)}?${rest.join("&")}`, found };
}

/** The path with the three parameters behind its own. */
export function withSigned(path: string, values: { expires: string; key: string; signature: string }): string {
  const { expires, key, signature } = SIGNED_PARAMETERS;
  const parameters = `${expires}=${values.expires}&${key}=${values.key}&${signature}=${values.signature}`;
  return `${path}${path.includes("?") ? "&" : "?"}${parameters}`;
}

/** A path with query as clients send it, percent-encoded and without dots. */
export function sentPath(path: string): string | null {
  const url = URL.parse(`http://function${path.startsWith("/") ? path : `/${path}`}`);
  return url && url.pathname + url.search;
}

/** The fault of a path that is to be signed as the end of a sentence, or null. */
export function signedPathProblem(path: string): string | null {
  if (path.length > MAX_SIGNED_PATH_LENGTH) return `at most ${MAX_SIGNED_PATH_LENGTH} characters`;
  if (!path.startsWith("/")) return "a path begins with '/'";
  if (sentPath(path) !== path) return `clients would send ${JSON.stringify(sentPath(path))}: sign it as they send it`;
  const query = path.indexOf("?");
  const names = query === -1 ? [] : [...new URLSearchParams(path.slice(query)).keys()];
  return names.some((name) => OURS.has(name)) ? `${[...OURS].join(", ")} are the signature's own` : null;
}

/** Whether a URL can be signed for a method, as it is written in requests. */
export function isSignedMethod(method: string): boolean {
  return METHOD.test(method) && method !== "TRACE" && method !== "CONNECT";
}
