/**
 * The argument of functions that take their request out of an event: endpoints of SvelteKit and
 * Astro, and functions of Cloudflare Pages. Functions of Netlify, Vercel and Next.js take the like
 * after their request.
 */
import type { FetchContext, FetchFunction } from "./fetch.ts";
import type { HandlerCall } from "./handler.ts";
import { parametersOf, reads, textOf } from "./kind.ts";

/** Members that such an event has, and no Request. */
const MEMBERS = {
  names: "request|params|locals|platform|getClientAddress|setHeaders|env|waitUntil",
  used: "url\\s*\\.\\s*(?:searchParams|pathname|origin)\\b",
};

const CONTEXT = /^_*(?:context|ctx)$/i;

// Captured before tenant code.
const NodeResponse = Response;
const NodeUrl = URL;

/** Whether a function takes an event, as its text reads members that no Request has. */
export function takesEvent(handler: object): boolean {
  const text = textOf(handler);
  const [first = ""] = parametersOf(text);
  return reads(text, first, MEMBERS);
}

/** Whether a function takes a context after its request, as Netlify's and Vercel's do. */
export function takesContext(handler: object): boolean {
  const [, second = "", third] = parametersOf(textOf(handler));
  return third === undefined && (CONTEXT.test(second) || reads("", second, { names: "params|waitUntil|next|geo" }));
}

/** The same function, given a context after each request. */
export function withContext(handler: FetchFunction, call: HandlerCall): FetchFunction {
  const given = handler as unknown as (request: Request, context: object) => unknown;
  return (request, env, ctx) => given(request, eventOf(request, env, ctx, call));
}

/** The same function, given an event around each request. */
export function withEvent(handler: (event: object) => unknown, call: HandlerCall): FetchFunction {
  return (request, env, ctx) => handler(eventOf(request, env, ctx, call));
}

function eventOf(request: Request, env: Record<string, string>, ctx: FetchContext, call: HandlerCall): object {
  const { waitUntil, passThroughOnException } = ctx;
  const url = new NodeUrl(request.url);
  return {
    request,
    url,
    /** Without routes of files there are no parameters. */
    params: {},
    geo: {},
    ip: call.request.remoteAddress,
    requestId: call.request.invocationId,
    json: (value: unknown, init?: ResponseInit) => NodeResponse.json(value, init),
    cookies: new Cookies(request.headers.get("cookie") ?? ""),
    locals: {},
    data: {},
    env,
    platform: { env, context: ctx, ctx },
    functionPath: url.pathname,
    getClientAddress: () => call.request.remoteAddress,
    clientAddress: call.request.remoteAddress,
    waitUntil,
    passThroughOnException,
    next: async () => new NodeResponse("Not Found", { status: 404 }),
    fetch,
  };
}

/** The cookies of a request, to be read. */
class Cookies {
  readonly #values = new Map<string, string>();

  constructor(header: string) {
    for (const pair of header.split(";")) {
      const at = pair.indexOf("=");
      if (at > 0) this.#values.set(pair.slice(0, at).trim(), decoded(pair.slice(at + 1).trim()));
    }
  }

  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  getAll(): { name: string; value: string }[] {
    return [...this.#values].map(([name, value]) => ({ name, value }));
  }
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
