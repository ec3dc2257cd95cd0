/** The forms of a `REDIS_URL`, and how ioredis wants it. */
import type { RedisOptions } from "ioredis";

/** Bytes of a unix socket's path, without the NUL at its end (`sun_path` in unix(7)). */
export const MAX_SOCKET_PATH_BYTES = 107;

/**
 * Options for ioredis out of `redis://`, `rediss://`, `unix:///path/to.sock` or a plain absolute
 * socket path. A unix URL may say `?db=N`.
 * @throws Error with a sentence fragment that says what the URL must be; it never quotes the URL,
 * which may hold a password.
 */
export function parseRedisUrl(url: string): RedisOptions {
  const parsed = URL.parse(url.startsWith("/") ? `unix://${url}` : url);
  if (!parsed || !/^(redis|rediss|unix):$/.test(parsed.protocol)) {
    throw new Error("must be redis://host:port, rediss://host:port or unix:///path/to.sock");
  }
  if (parsed.protocol === "unix:") return unixSocket(parsed);
  if (!parsed.hostname) throw new Error("must name a host");
  const db = databaseIndex(parsed.pathname.slice(1) || (parsed.searchParams.get("db") ?? "0"));
  return {
    host: parsed.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(parsed.port || 6379),
    db,
    ...(parsed.username && { username: decodeURIComponent(parsed.username) }),
    ...(parsed.password && { password: decodeURIComponent(parsed.password) }),
    ...(parsed.protocol === "rediss:" && { tls: {} }),
  };
}

/** The URL without user and password, fit for logs. */
export function redactRedisUrl(url: string): string {
  const parsed = URL.parse(url);
  if (!parsed) return url.startsWith("/") ? url : "(not a URL)";
  parsed.username = "";
  parsed.password = "";
  return parsed.href;
}

function unixSocket(url: URL): RedisOptions {
  const path = decodeURIComponent(url.pathname);
  if (url.hostname || path === "" || path === "/") {
    throw new Error("must give an absolute path after unix://, as in unix:///run/redis.sock");
  }
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    throw new Error(`must give a socket path of at most ${MAX_SOCKET_PATH_BYTES} bytes`);
  }
  return { path, db: databaseIndex(url.searchParams.get("db") ?? "0") };
}

function databaseIndex(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new Error("must give the database as a number, as in redis://host:6379/0");
  return Number(text);
}
