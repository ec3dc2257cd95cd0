/**
 * The helpers that Vercel puts on Node's request and response:
 * https://vercel.com/docs/functions/runtimes/node-js#node.js-helpers
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { parse } from "node:querystring";
import { define } from "../../define.ts";
import { describeValue } from "../../describe.ts";

// Captured before tenant code.
const { isView } = ArrayBuffer;
const { parse: parseJson, stringify } = JSON;

/**
 * Types of a body that `req.body` gives, and how. Such a body is here before the function is
 * called.
 */
const BODY_TYPES: Record<string, (body: Buffer) => unknown> = {
  "application/json": readJson,
  "application/octet-stream": (body) => body,
  "application/x-www-form-urlencoded": (body) => parse(body.toString()),
  "text/plain": (body) => body.toString(),
};

/** A body that is not what its type says. A function that lets this pass answers 400. */
export class BadBody extends Error {
  readonly statusCode = 400;
}

export interface Helped {
  Request: new (socket: never, body: Uint8Array | null) => IncomingMessage;
  Response: new (req: IncomingMessage) => ServerResponse;
}

/** Whether `req.body` gives bodies of this content type. */
export function isBodyType(contentType: string | undefined): boolean {
  return readerOf(contentType) !== undefined;
}

/** Classes with the helpers, and Node's for parents. */
export function helpedClasses(incoming: typeof IncomingMessage, outgoing: typeof ServerResponse): Helped {
  class Request extends incoming {
    readonly #whole: Uint8Array | null;

    constructor(socket: never, whole: Uint8Array | null) {
      super(socket);
      this.#whole = whole;
    }

    get query(): object {
      const { url = "" } = this;
      const queryAt = url.indexOf("?");
      return keep(this, "query", queryAt < 0 ? {} : parse(url.slice(queryAt + 1)));
    }
    set query(value: unknown) {
      keep(this, "query", value);
    }

    get cookies(): object {
      return keep(this, "cookies", readCookies(this.headers.cookie ?? ""));
    }
    set cookies(value: unknown) {
      keep(this, "cookies", value);
    }

    get body(): unknown {
      const read = readerOf(this.headers["content-type"]);
      const bytes = this.#whole;
      if (read === undefined || bytes === null) return undefined;
      return keep(this, "body", read(asBuffer(bytes)));
    }
    set body(value: unknown) {
      keep(this, "body", value);
    }

    /** The body's bytes; undefined where there is none, or it is read as it comes. */
    get rawBody(): Buffer | undefined {
      const bytes = this.#whole;
      return bytes === null || bytes.length === 0 ? undefined : asBuffer(bytes);
    }
    set rawBody(value: unknown) {
      keep(this, "rawBody", value);
    }
  }

  class Response extends outgoing {
    status(code: number): this {
      this.statusCode = code;
      return this;
    }

    redirect(status: number | string, url?: string): this {
      const [code, place] = typeof status === "string" ? [307, status] : [status, url];
      if (typeof place !== "string") throw new TypeError(`redirect needs a URL, and got ${describeValue(place)}.`);
      this.writeHead(code, { location: place });
      return this.end();
    }

    json(value: unknown): this {
      setDefault(this, "content-type", "application/json; charset=utf-8");
      return this.end(stringify(value));
    }

    send(value?: unknown): this {
      if (value === null || value === undefined) return this.end();
      if (typeof value === "string") {
        setDefault(this, "content-type", "text/html; charset=utf-8");
        return this.end(value);
      }
      if (!isView(value)) return this.json(value);
      setDefault(this, "content-type", "application/octet-stream");
      return this.end(value);
    }
  }

  return { Request, Response };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function readerOf(contentType: string | undefined): ((body: Buffer) => unknown) | undefined {
  const type = (contentType ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  return Object.hasOwn(BODY_TYPES, type) ? BODY_TYPES[type] : undefined;
}

function readJson(body: Buffer): unknown {
  if (body.length === 0) return {};
  try {
    return parseJson(body.toString());
  } catch (error) {
    throw new BadBody("Invalid JSON", { cause: error });
  }
}

function readCookies(header: string): Record<string, string> {
  const cookies = new Map<string, string>();
  for (const pair of header.split(";")) {
    const at = pair.indexOf("=");
    const name = pair.slice(0, at).trim();
    if (at > 0 && !cookies.has(name)) cookies.set(name, decoded(pair.slice(at + 1).trim()));
  }
  return Object.fromEntries(cookies);
}

function decoded(value: string): string {
  const bare = value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
  try {
    return decodeURIComponent(bare);
  } catch {
    return bare;
  }
}

function setDefault(response: ServerResponse, name: string, value: string): void {
  if (!response.hasHeader(name)) response.setHeader(name, value);
}

/** Makes the value a member of the object, where frameworks look for their own. */
function keep<Value>(object: object, name: string, value: Value): Value {
  define(object, name, value);
  return value;
}
