/**
 * The helpers of Express that functions of Google Cloud use without bringing Express along:
 * https://cloud.google.com/functions/docs/writing/write-http-functions
 */
import type { IncomingMessage, STATUS_CODES } from "node:http";
import { define } from "../../define.ts";
import type { Helped } from "./node-helpers.ts";

/** Types by the short names that `res.type` takes. */
const TYPES: Record<string, string> = {
  css: "text/css",
  html: "text/html",
  js: "text/javascript",
  json: "application/json",
  svg: "image/svg+xml",
  text: "text/plain",
  txt: "text/plain",
  xml: "application/xml",
};
const HAS_CHARSET = /^(?:text\/[^;]*|application\/json\s*)$/i;

type HeaderValue = string | number | readonly string[];

/** The same classes with more helpers. */
export function withExpressHelpers(
  { Request: Incoming, Response: Outgoing }: Helped,
  reasons: typeof STATUS_CODES,
): Helped {
  class Request extends Incoming {
    get(name: string): string | undefined {
      const field = name.toLowerCase();
      const value = this.headers[field === "referrer" ? "referer" : field];
      return Array.isArray(value) ? value.join(", ") : value;
    }

    header(name: string): string | undefined {
      return this.get(name);
    }
  }

  for (const [name, read] of Object.entries(READ)) {
    Object.defineProperty(Request.prototype, name, {
      configurable: true,
      get(this: IncomingMessage) {
        return read(this);
      },
      // Frameworks have members of these names of their own.
      set(this: IncomingMessage, value: unknown) {
        define(this, name, value);
      },
    });
  }

  class Response extends Outgoing {
    set(name: string | Record<string, HeaderValue>, value?: HeaderValue): this {
      const fields = typeof name === "string" ? [[name, value ?? ""] as const] : Object.entries(name);
      for (const [field, given] of fields) this.setHeader(field, valueFor(field, given));
      return this;
    }

    header(name: string | Record<string, HeaderValue>, value?: HeaderValue): this {
      return this.set(name, value);
    }

    get(name: string): HeaderValue | undefined {
      return this.getHeader(name);
    }

    append(name: string, value: HeaderValue): this {
      const before = this.getHeader(name);
      return this.set(name, before === undefined ? value : [before, value].flat().map(String));
    }

    type(type: string): this {
      return this.set("content-type", type.includes("/") ? type : (TYPES[type] ?? "application/octet-stream"));
    }

    sendStatus(status: number): this {
      this.statusCode = status;
      this.type("txt");
      return this.end(reasons[status] ?? String(status));
    }
  }

  return { Request, Response };
}

/** Members of a request that are read off others. */
const READ: Record<string, (req: IncomingMessage) => unknown> = {
  hostname: ({ headers }) => headers.host?.replace(/:\d+$/, ""),
  ip: ({ socket }) => socket.remoteAddress,
  originalUrl: ({ url }) => url,
  path: ({ url = "" }) => url.split("?", 1)[0],
  protocol: ({ socket }) => ((socket as { encrypted?: boolean }).encrypted ? "https" : "http"),
};

/** A field's value; a type of text says its character set. */
function valueFor(name: string, value: HeaderValue): HeaderValue {
  if (name.toLowerCase() !== "content-type" || typeof value !== "string" || !HAS_CHARSET.test(value)) return value;
  return `${value}; charset=utf-8`;
}
