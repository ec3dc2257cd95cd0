/** A server's address and connections, and how hono is put behind it. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { Server } from "node:http";
import { getRequestListener, RequestError } from "@hono/node-server";
import { errorBody, SandpiperError } from "../functions/model/errors.ts";
import { settledWithin } from "../infra/std/time.ts";
import { publicError } from "./http/error-reply.ts";

/** How long shutting down waits for answers that are not of calls. */
const DRAIN_ANSWERS_MS = 2_000;

interface AddressConfig {
  host: string;
  port: number;
}

/** hono behind node's server. A URL that hono refuses is answered in our shape. */
export function controlListener(fetch: Parameters<typeof getRequestListener>[0]) {
  const listener = getRequestListener(fetch, { overrideGlobalObjects: false, hostname: "localhost", errorHandler });
  return (...args: Parameters<typeof listener>) => void listener(...args);
}

/** Of URLs that cannot be one, such as one with a backslash; hono itself would say nothing. */
function errorHandler(error: unknown): Response {
  const isUrl = error instanceof RequestError;
  const shown = isUrl ? new SandpiperError("INVALID_REQUEST", { message: `${error.message}.` }) : publicError(error);
  const requestId = randomUUID();
  return Response.json(errorBody(shown, requestId), { status: shown.status, headers: { "x-request-id": requestId } });
}

/** Resolves when the server listens. @throws Error when it cannot */
export async function listen(server: Server, { host, port }: AddressConfig): Promise<void> {
  server.listen(port, host);
  await once(server, "listening");
}

/**
 * Closes connections without requests, and resolves when the others have ended, or the time for
 * their answers is over.
 * @param server takes no new connections
 */
export async function answersEnd(server: Server): Promise<void> {
  server.closeIdleConnections();
  if (server.listening || (await connectionsOf(server)) > 0) {
    await settledWithin(DRAIN_ANSWERS_MS, once(server, "close"));
  }
}

/** How many connections clients have to the server. */
function connectionsOf(server: Server): Promise<number> {
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
