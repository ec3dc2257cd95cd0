/** A server's address and connections, and how hono is put behind it. */
import { once } from "node:events";
import type { Server } from "node:http";
import { getRequestListener } from "@hono/node-server";

interface AddressConfig {
  host: string;
  port: number;
}

/** hono behind node's server. A URL that hono refuses is answered in our shape. */
export function controlListener(fetch: Parameters<typeof getRequestListener>[0]) {
  const listener = getRequestListener(fetch, { overrideGlobalObjects: false, hostname: "localhost" });
  return (...args: Parameters<typeof listener>) => void listener(...args);
}

/** Resolves when the server listens. @throws Error when it cannot */
export async function listen(server: Server, { host, port }: AddressConfig): Promise<void> {
  server.listen(port, host);
  await once(server, "listening");
}

/** How many connections clients have to the server. */
export function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve) => server.getConnections((_error, count) => resolve(count ?? 0)));
}

/**
 * A host as URLs write it: an address of IPv6 in brackets, and one that means "any" as this
 * machine.
 */
export function urlHost(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
