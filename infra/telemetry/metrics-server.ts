/**
 * Where Prometheus reads the figures of a process: a port of its own, on loopback unless it is told
 * otherwise, and never the listener of functions' callers.
 */
import { timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Logger } from "../log.ts";
import type { Registry } from "./metrics.ts";

/** Connections at once. The oldest makes way: whoever holds some keeps nobody from reading. */
const MAX_CONNECTIONS = 32;
const HEADERS_TIMEOUT_MS = 5_000;
/** How long a reader may take nothing of an answer. */
const UNREAD_MS = 10_000;

export interface MetricsServerOptions {
  /** `host:port`, or `off`. */
  listen: string;
  /** A file with the key that readers must send; null: whoever reaches the port may read. */
  keyFile: string | null;
  registry: Registry;
  log: Logger;
}

export interface MetricsServer {
  /** Where it listens; null when it does not. */
  readonly url: string | null;
  close(): void;
}

/**
 * Serves `/metrics`. A port that is taken keeps no process from its work: the log says so, and
 * nothing is served.
 * @throws Error when the file of the key cannot be read, or is empty
 */
export async function serveMetrics({ listen, keyFile, registry, log }: MetricsServerOptions): Promise<MetricsServer> {
  const nowhere = { url: null, close() {} };
  if (listen === "off") return nowhere;
  const key = keyFile === null ? null : (await readFile(keyFile, "utf8")).trim();
  if (key === "") throw new Error(`The key in ${keyFile} is empty (SANDPIPER_METRICS_KEY_FILE).`);
  const server = createServer({ headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: HEADERS_TIMEOUT_MS });
  server.timeout = UNREAD_MS;
  keepFew(server);
  let reading: Promise<string> | undefined;
  // Whoever asks at the same moment gets the same answer.
  const read = () => (reading ??= registry.metrics().finally(() => (reading = undefined)));
  server.on("request", (request, response) => void answer(request, response, key, registry.contentType, read));
  const at = listen.lastIndexOf(":");
  const host = listen.slice(0, at).replace(/^\[(.*)\]$/, "$1");
  try {
    server.listen(Number(listen.slice(at + 1)), host);
    await once(server, "listening");
  } catch (error) {
    log.warn("metrics are not served", { listen, reason: (error as Error).message });
    return nowhere;
  }
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${(server.address() as AddressInfo).port}/metrics`;
  log.info("metrics are served", { url });
  return { url, close: () => close(server) };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  key: string | null,
  contentType: string,
  read: () => Promise<string>,
): Promise<void> {
  const isMetrics = request.url?.split("?")[0] === "/metrics" && request.method === "GET";
  if (!isMetrics) return say(response, 404, "GET /metrics is all there is here.\n");
  if (key !== null && !isKey(request.headers.authorization, key)) {
    response.setHeader("www-authenticate", "Bearer");
    return say(response, 401, "Send the key of SANDPIPER_METRICS_KEY_FILE: authorization: Bearer <key>.\n");
  }
  try {
    say(response, 200, await read(), contentType);
  } catch (error) {
    say(response, 500, `The figures could not be read: ${(error as Error).message}\n`);
  }
}

function isKey(authorization: string | undefined, key: string): boolean {
  const [given, wanted] = [Buffer.from(authorization ?? ""), Buffer.from(`Bearer ${key}`)];
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function say(response: ServerResponse, status: number, text: string, type = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "content-type": type }).end(text);
}

function keepFew(server: Server): void {
  const connections = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
    const [oldest] = connections;
    if (connections.size > MAX_CONNECTIONS) oldest?.destroy();
  });
}

function close(server: Server): void {
  server.close();
  server.closeAllConnections();
}
