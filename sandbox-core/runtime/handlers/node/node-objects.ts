/**
 * Node's own request and response for a call, without a server.
 *
 * Frameworks put prototypes of their own on both objects, so what makes them work here are members
 * of the objects; the helpers, which a framework's own may replace, are on the prototypes.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { HeaderPairs } from "../../../protocol/frames.ts";
import { requireBuiltin } from "../../builtins.ts";
import { define } from "../../define.ts";
import type { HandlerCall } from "../handler.ts";
import type { WrittenReply } from "../written-reply.ts";
import { type Connection, connectionOf } from "./node-connection.ts";
import { withExpressHelpers } from "./node-express.ts";
import { type Helped, helpedClasses } from "./node-helpers.ts";

type Http = typeof import("node:http");

/** Members of Node's classes that have no types, and that frameworks use as well. */
interface IncomingParts {
  _addHeaderLines(pairs: string[], count: number): void;
  _consumed: boolean;
  _readableState: { readingMore: boolean };
}
interface OutgoingParts {
  _header: string;
  _headerSent: boolean;
  _flush(): void;
  _storeHeader(firstLine: string, headers: unknown): void;
  chunkedEncoding: boolean;
}

/** Fields that say how a message goes over one connection, which the platform sees to. */
const HOP_BY_HOP = new Set(["connection", "keep-alive", "transfer-encoding"]);
/** Answers on the way to the answer: there is no connection to send them over. */
const INTERIM = ["writeContinue", "writeProcessing", "writeEarlyHints"];

export interface NodeObjects {
  req: IncomingMessage;
  res: ServerResponse;
  connection: Connection;
}

interface Classes extends Helped {
  reasons: Record<number, string | undefined>;
  storeHeader: OutgoingParts["_storeHeader"];
}

let loaded: Classes | null = null;

/**
 * The classes of requests and responses: taken when the first function needs them, as node:http is
 * slow to load.
 */
export function nodeClasses(): Classes {
  if (loaded !== null) return loaded;
  const { IncomingMessage, ServerResponse, STATUS_CODES } = requireBuiltin("node:http") as Http;
  const { _storeHeader: storeHeader } = ServerResponse.prototype as unknown as OutgoingParts;
  const helped = withExpressHelpers(helpedClasses(IncomingMessage, ServerResponse), STATUS_CODES);
  loaded = { ...helped, reasons: STATUS_CODES, storeHeader };
  return loaded;
}

/**
 * Request and response of a call.
 * @param headers the request's
 * @param body the whole body, where it is here; null: it is read from the call when the function
 * reads
 * @param reply gets what the function writes
 */
export function nodeObjects(
  call: HandlerCall,
  headers: HeaderPairs,
  body: Uint8Array | null,
  reply: WrittenReply,
): NodeObjects {
  const classes = nodeClasses();
  const connection = connectionOf(call, reply);
  const req = new classes.Request(connection as never, body);
  fillRequest(req, call, headers, body);
  const res = new classes.Response(req);
  connectResponse(res, connection, classes, reply);
  return { req, res, connection };
}

function fillRequest(req: IncomingMessage, call: HandlerCall, headers: HeaderPairs, body: Uint8Array | null): void {
  const { method, path } = call.request;
  Object.assign(req, { method, url: path, httpVersion: "1.1", httpVersionMajor: 1, httpVersionMinor: 1 });
  const raw = headers.flat();
  const parts = req as unknown as IncomingParts;
  parts._addHeaderLines(raw, raw.length);
  let isReading = false;
  const pull = async () => {
    isReading = true;
    try {
      const piece = await call.body.next();
      isReading = false;
      if (piece === null) req.complete = true;
      req.push(piece);
    } catch (error) {
      req.destroy(error as Error);
    }
  };
  define(req, "_read", () => {
    parts._consumed = true;
    parts._readableState.readingMore = false;
    if (body === null && !isReading && !req.complete) void pull();
  });
  if (body === null) return;
  if (body.length > 0) req.push(body);
  req.complete = true;
  req.push(null);
}

function connectResponse(res: ServerResponse, connection: Connection, classes: Classes, reply: WrittenReply): void {
  const parts = res as unknown as OutgoingParts;
  // The gateway dates answers, and frames them.
  res.sendDate = false;
  define(res, "_storeHeader", (firstLine: string, headers: unknown) => {
    Reflect.apply(classes.storeHeader, res, [firstLine, headers]);
    reply.begin(startOf(res, parts._header, classes.reasons));
    // Nothing but the body goes to the connection, and as it is.
    parts._headerSent = true;
    parts.chunkedEncoding = false;
  });
  for (const name of INTERIM) define(res, name, (...args: unknown[]) => callLast(args));
  res.assignSocket(connection as never);
  res.once("prefinish", () => {
    connection.end();
    connection.push(null);
    connection.resume();
  });
  connection.on("drain", () => {
    if (!res.writableEnded) parts._flush();
  });
}

function callLast(args: unknown[]): void {
  const last = args.at(-1);
  if (typeof last === "function") last();
}

/** @throws RangeError for a status that is none of an answer's */
function startOf({ statusCode, statusMessage }: ServerResponse, head: string, reasons: Classes["reasons"]) {
  if (statusCode < 200 || statusCode > 599) {
    throw new RangeError(`The status of a response must be 200 to 599, and is ${statusCode}.`);
  }
  const headers: HeaderPairs = [];
  // Node has checked that no name and no value has a line's end in it.
  for (const line of head.split("\r\n").slice(1, -2)) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    if (!HOP_BY_HOP.has(name)) headers.push([name, line.slice(colon + 1).trim()]);
  }
  const statusText = statusMessage === reasons[statusCode] ? "" : statusMessage;
  return { status: statusCode, statusText, headers };
}
