/** Header fields that are passed on, each way. Those of the connection are our own on each side. */

/** Fields as Node has them raw: names and values in turn. */
export type RawFields = readonly string[];

const OF_CONNECTION: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** How the body of a request comes. */
export interface Framing {
  contentLength: string | undefined;
  isChunked: boolean;
}

/**
 * The fields of a request with what is injected, in place of what the function gave. Servers that
 * make variables of fields know no difference between "-" and "_".
 */
export function requestFields(
  raw: RawFields,
  { name, headers }: { name: string; headers: readonly (readonly [string, string])[] },
  { contentLength, isChunked }: Framing,
): string[] {
  const injected = new Set(headers.map(([field]) => alike(field)));
  const own = withoutConnection(raw).filter(([field]) => !injected.has(alike(field)));
  const framing: [string, string][] = isChunked
    ? [["transfer-encoding", "chunked"]]
    : contentLength === undefined
      ? []
      : [["content-length", contentLength]];
  return [["host", name], ...own, ...headers, ...framing].flat();
}

/** The fields of a host's answer, with the length of its body if it has one. */
export function responseFields(raw: RawFields, contentLength: string | undefined): string[] {
  const length = contentLength === undefined ? [] : [["content-length", contentLength]];
  return [...withoutConnection(raw), ...length].flat();
}

/** The values of all fields of a name in lower case. */
export function valuesOf(raw: RawFields, name: string): string[] {
  return pairsOf(raw)
    .filter(([field]) => field.toLowerCase() === name)
    .map(([, value]) => value);
}

function withoutConnection(raw: RawFields): [string, string][] {
  const named = valuesOf(raw, "connection").flatMap((value) => value.toLowerCase().split(/[\s,]+/));
  const dropped = new Set([...OF_CONNECTION, ...named]);
  return pairsOf(raw).filter(([field]) => !dropped.has(field.toLowerCase()));
}

function pairsOf(raw: RawFields): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, index) => [raw[index * 2] ?? "", raw[index * 2 + 1] ?? ""]);
}

function alike(field: string): string {
  return field.toLowerCase().replaceAll("_", "-");
}
