/** The URL of a request as a function sees it. */

const { parse } = URL;
/**
 * A segment that a URL's parser takes away, with or without the one before (WHATWG URL,
 * "single-dot" and "double-dot").
 */
const DOT_SEGMENT = /[/\\](?:\.|%2e){1,2}(?:[/\\?#]|$)/i;

/**
 * The URL of a call, in which "." and ".." are taken off the path below the function's URL, and of
 * that only: what makes a Request resolves them in the whole path, and the function would find
 * itself under the name of another. So a function is the root of its URLs, as a host is of its own
 * (RFC 3986, section 5.2.4).
 * @param path what of the URL is the function's own, as it was sent: its end
 */
export function ownUrl(url: string, path: string): string {
  if (!DOT_SEGMENT.test(path)) return url;
  const own = parse(`http://function${path}`);
  if (own === null || !url.endsWith(path)) return url;
  return url.slice(0, -path.length) + own.pathname + own.search + own.hash;
}
