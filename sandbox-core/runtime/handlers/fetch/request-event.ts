/**
 * The argument of functions that take their request out of an event: endpoints of SvelteKit and
 * Astro, and functions of Cloudflare Pages. Functions of Netlify, Vercel and Next.js take the like
 * after their request.
 */
import type { HeaderPairs } from "../../../protocol/frames.ts";
import type { FunctionFacts, Handler, HandlerCall } from "../handler.ts";
import { parametersOf, reads, textOf } from "../kind.ts";
import { EventCookies } from "./event-cookies.ts";
import { type FetchContext, type FetchFunction, fetchHandler } from "./fetch.ts";

/** Members that such an event has, and no Request. */
const MEMBERS = {
  names: "request|params|locals|platform|getClientAddress|setHeaders|env|waitUntil",
  used: "url\\s*\\.\\s*(?:searchParams|pathname|origin)\\b",
};

const CONTEXT = /^_*(?:context|ctx)$/i;

// Captured before tenant code.
const NodeResponse = Response;
const NodeUrl = URL;
const NodeHeaders = Headers;

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

/** A handler around a function that is given a context after each request. */
export function contextHandler(handler: FetchFunction, facts: FunctionFacts): Handler {
  const given = handler as unknown as (request: Request, context: object) => unknown;
  return eventHandler((event) => given(event.request, event), facts);
}

/**
 * A handler around a function that is given an event around each request. Cookies and header fields
 * that it sets there are its answer's.
 */
export function eventHandler(handler: (event: RequestEvent) => unknown, facts: FunctionFacts): Handler {
  return async (call) => {
    let event: RequestEvent | null = null;
    const answer = fetchHandler((request, env, ctx) => {
      event = eventOf(request, env, ctx, call);
      return handler(event);
    }, facts);
    const reply = await answer(call);
    const { cookies, fields } = event as unknown as RequestEvent;
    const given = new Set(reply.headers.map(([name]) => name));
    const set: HeaderPairs = [...fields].filter(([name]) => !given.has(name));
    for (const cookie of cookies.fields) set.push(["set-cookie", cookie]);
    return set.length === 0 ? reply : { ...reply, headers: [...reply.headers, ...set] };
  };
}

interface RequestEvent {
  request: Request;
  cookies: EventCookies;
  /** Header fields for the answer. */
  fields: Headers;
}

function eventOf(request: Request, env: Record<string, string>, ctx: FetchContext, call: HandlerCall): RequestEvent {
  const { waitUntil, passThroughOnException } = ctx;
  const url = new NodeUrl(request.url);
  const fields = new NodeHeaders();
  const event = {
    request,
    url,
    /** Without routes of files there are no parameters. */
    params: {},
    geo: {},
    ip: call.request.remoteAddress,
    requestId: call.request.invocationId,
    json: (value: unknown, init?: ResponseInit) => NodeResponse.json(value, init),
    cookies: new EventCookies(request.headers.get("cookie") ?? "", url),
    setHeaders: (given: Record<string, string>) => {
      for (const [name, value] of Object.entries(given)) fields.set(name, value);
    },
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
  // No member that a function finds when it looks through the event.
  return Object.defineProperty(event, "fields", { value: fields }) as typeof event & RequestEvent;
}
