/**
 * The HTTP server of `sandpiper dev`: passes requests to the function at its gateway, and shows in
 * a browser what went wrong. It listens on this machine alone, and answers by this machine's names
 * alone, so that no web page can reach it under a name of its own (DNS rebinding).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { settledWithin } from "../../../../infra/std/time.ts";
import { CliError, messageOf, systemCodeOf } from "../../failure.ts";
import type { CallStories } from "../call-stories.ts";
import type { DevFailure } from "../failure.ts";
import type { SourceFiles } from "../stack-source.ts";
import { forward, isThisMachine, passOn, pathOf, type Upstream } from "./forward.ts";
import { CHANGES_PATH, PAGE_FIELDS, type Page, renderPage, wantsPage } from "./page.ts";
import { failedCallPage, failurePage } from "./pages.ts";

/** The port without `--port`, and how many above it are tried. */
const USUAL_PORT = 3000;
const TRIED_PORTS = 20;
/** Longest wait of a request for a reload that is under way. */
const RELOAD_WAIT_MS = 1_000;
/** Longest wait of a page for the log of its call. */
const LOG_WAIT_MS = 2_000;
const ADDRESSES = ["127.0.0.1", "::1"];

/** The function as it is served now. */
export interface FrontState {
  /** Where the version is that was deployed last; null when none was. */
  upstream: Upstream | null;
  /** Why what the files hold now is not served; null when it is. */
  failure: DevFailure | null;
  /** The reload under way, or null. */
  reloading: Promise<void> | null;
  sources: SourceFiles;
}

export interface FrontOptions {
  state(): FrontState;
  stories: CallStories;
  /** Told of an answer that the gateway or this front gave without calling the function. */
  onRefused(request: { method: string; path: string; status: number; reason: string }): void;
}

export class Front {
  readonly port: number;
  readonly #servers: Server[];
  readonly #options: FrontOptions;
  readonly #watching = new Set<ServerResponse>();

  private constructor(port: number, servers: Server[], options: FrontOptions) {
    this.port = port;
    this.#servers = servers;
    this.#options = options;
    for (const server of servers) {
      server.on("request", (request: IncomingMessage, response: ServerResponse) => void this.#serve(request, response));
    }
  }

  /**
   * Begins to listen. @param port undefined for the usual one, or the next that is free.
   * @throws CliError PORT_TAKEN
   */
  static async listen(port: number | undefined, options: FrontOptions): Promise<Front> {
    const ports = port === undefined ? Array.from({ length: TRIED_PORTS }, (_, index) => USUAL_PORT + index) : [port];
    for (const tried of ports) {
      const servers = await listenOn(tried);
      if (servers !== null) return new Front(portOf(servers), servers, options);
    }
    const named = port === undefined ? `${USUAL_PORT} to ${USUAL_PORT + TRIED_PORTS - 1} are` : `${port} is`;
    throw new CliError("config", `port ${named} taken, or not to be had`, {
      code: "PORT_TAKEN",
      hint: "choose another one: --port 4000, or --port 0 for any that is free",
    });
  }

  /** Has the pages that are open load again. */
  changed(): void {
    for (const response of this.#watching) response.write("event: change\ndata:\n\n");
  }

  close(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!isOwnName(request.headers.host, this.#options.state().upstream)) return refuseName(response);
    if (pathOf(request) === CHANGES_PATH) return this.#watch(response);
    const { reloading } = this.#options.state();
    if (reloading !== null) await settledWithin(RELOAD_WAIT_MS, reloading);
    const { upstream, failure } = this.#options.state();
    const isPage = request.method === "GET" && wantsPage(request.headers.accept);
    if (failure !== null && (isPage || upstream === null)) {
      const status = upstream === null ? 503 : 500;
      this.#refused(request, status, failure.title);
      if (isPage) return sendPage(response, status, failurePage(failure, upstream !== null));
      return sendError(response, status, failure);
    }
    if (upstream === null) return sendError(response, 503, STARTING);
    await this.#pass(request, response, upstream);
  }

  async #pass(request: IncomingMessage, response: ServerResponse, upstream: Upstream): Promise<void> {
    try {
      const answer = await forward({ request, response, upstream });
      const status = answer.statusCode ?? 502;
      const id = fieldOf(answer, "x-request-id");
      const outcome = fieldOf(answer, "x-sandpiper-outcome");
      if (id !== undefined && outcome !== undefined) {
        this.#options.stories.answered(id, { method: request.method ?? "GET", path: pathOf(request), status });
      }
      const hasFailed = outcome === undefined ? status >= 400 : outcome !== "ok";
      if (outcome === undefined) this.#refused(request, status, "the gateway answered");
      if (!hasFailed || !wantsPage(request.headers.accept)) return passOn(answer, response);
      await this.#explain(answer, response, status, id);
    } catch (error) {
      if (response.destroyed) return;
      const message = `The gateway cannot be reached: ${messageOf(error) || systemCodeOf(error)}`;
      this.#refused(request, 502, message);
      sendError(response, 502, { code: "GATEWAY_UNREACHABLE", message });
    }
  }

  /** Shows a failed call as a page, with what it logged. */
  async #explain(answer: IncomingMessage, response: ServerResponse, status: number, id: string | undefined) {
    const body = await text(answer);
    const ran = fieldOf(answer, "x-sandpiper-outcome") !== undefined;
    const story = id === undefined || !ran ? null : await this.#options.stories.whenEnded(id, LOG_WAIT_MS);
    const call = { body, id, outcome: fieldOf(answer, "x-sandpiper-outcome"), story };
    const page = failedCallPage(call, this.#options.state().sources);
    sendPage(response, status, page, id);
  }

  #watch(response: ServerResponse): void {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write(": listening\n\n");
    this.#watching.add(response);
    response.once("close", () => this.#watching.delete(response));
  }

  #refused(request: IncomingMessage, status: number, reason: string): void {
    this.#options.onRefused({ method: request.method ?? "GET", path: pathOf(request), status, reason });
  }
}

const STARTING = { code: "STARTING", message: "The function is being deployed for the first time." };

async function listenOn(port: number): Promise<Server[] | null> {
  const servers: Server[] = [];
  for (const address of ADDRESSES) {
    const server = createServer();
    // A stream that the function sends, and pages that wait for a change, are silent for long.
    server.requestTimeout = 0;
    const { promise, resolve } = Promise.withResolvers<string | null>();
    server.once("error", (error) => resolve(systemCodeOf(error) ?? "unknown"));
    server.listen(servers[0] === undefined ? port : portOf(servers), address, () => resolve(null));
    const problem = await promise;
    if (problem === null) servers.push(server);
    // A machine need not have version 6 of IP.
    else if (address === ADDRESSES[0] || problem === "EADDRINUSE") {
      for (const other of servers) other.close();
      return null;
    }
  }
  return servers;
}

function portOf([server]: readonly Server[]): number {
  const address = server?.address() as AddressInfo | null | undefined;
  if (!address) throw new Error("the front does not listen");
  return address.port;
}

/** Whether a host field names this machine, or the function's own host. */
function isOwnName(host: string | undefined, upstream: Upstream | null): boolean {
  const name = URL.parse(`http://${host ?? ""}`)?.hostname ?? "";
  return isThisMachine(name) || upstream?.hostFor(undefined) === host;
}

function refuseName(response: ServerResponse): void {
  const message = "sandpiper dev answers by the names of this machine alone: localhost, and names below it.";
  sendError(response, 403, { code: "FOREIGN_HOST", message });
}

function sendPage(response: ServerResponse, status: number, page: Page, id?: string): void {
  const body = renderPage(page);
  const fields = { ...PAGE_FIELDS, ...(id !== undefined && { "x-request-id": id }) };
  response.writeHead(status, { ...fields, "content-length": Buffer.byteLength(body) }).end(body);
}

function sendError(response: ServerResponse, status: number, { code, message }: { code: string; message: string }) {
  const body = `${JSON.stringify({ error: { code, message } })}\n`;
  response
    .writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
    .end(body);
}

function fieldOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
