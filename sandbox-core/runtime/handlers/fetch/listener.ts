/**
 * Handlers that a module registers instead of exporting: `addEventListener("fetch", ...)` as
 * service workers do, `Deno.serve(...)` and `Bun.serve(...)`.
 */
import { define } from "../../define.ts";
import { describeValue } from "../../describe.ts";
import type { FunctionFacts, Handler } from "../handler.ts";
import { codeOutsidePackages } from "../own-code.ts";
import { inWords } from "../words.ts";
import { fetchHandler } from "./fetch.ts";

interface FetchEvent {
  readonly type: "fetch";
  readonly request: Request;
  respondWith(response: unknown): void;
  waitUntil(promise: unknown): void;
  /** Accepted and without effect: nothing stands behind a function. */
  passThroughOnException(): void;
}

type FetchListener = (event: FetchEvent) => unknown;

/**
 * A module that calls either says so by these words. Others find no such globals, as in plain Node.
 */
const LISTENS = /\baddEventListener\s*\(\s*["'`]fetch["'`]/;
const SERVES = /\b(Deno|Bun)\s*\.\s*serve\s*\(/;

/**
 * Makes the handler that a module registered while it was evaluated; null when there is none.
 */
export type Listener = (facts: FunctionFacts) => Handler | null;

/** Defines the globals that this code registers its handler by. */
export function listenFor(code: string): Listener {
  let make: (facts: FunctionFacts) => Handler | null = () => null;
  if (code.includes("addEventListener") && LISTENS.test(code)) {
    const listeners: FetchListener[] = [];
    define(globalThis, "self", globalThis);
    define(globalThis, "addEventListener", (type: unknown, listener: unknown) => {
      if (type !== "fetch") return;
      listeners.push(listenerOf(listener));
      make = (facts) => {
        const handler = fetchHandler((request, _env, ctx) => answerOf(listeners, request, ctx.waitUntil), facts);
        return inWords(handler, "fetch (addEventListener)");
      };
    });
  }
  const isServed = code.includes("Deno") || code.includes("Bun");
  const [, platform] = isServed ? (SERVES.exec(codeOutsidePackages(code)) ?? []) : [];
  // Deno has events of its global as well, such as those of errors that nobody caught; the platform
  // tells of these itself.
  if (platform === "Deno" && !("addEventListener" in globalThis)) {
    define(globalThis, "self", globalThis);
    for (const name of ["addEventListener", "removeEventListener"]) define(globalThis, name, () => undefined);
  }
  if (platform !== undefined) {
    const serve = (...args: unknown[]) => {
      const served = servedBy(args);
      make = (facts) => {
        const handler: Handler = (call) => {
          const remoteAddr = { transport: "tcp", hostname: call.request.remoteAddress, port: 0 };
          return fetchHandler((request) => served(request, { remoteAddr }), facts)(call);
        };
        return inWords(handler, `fetch (${platform}.serve)`);
      };
      return { finished: new Promise(() => {}), shutdown: async () => {}, stop() {}, ref() {}, unref() {}, addr: {} };
    };
    define(globalThis, platform, { serve, env: platform === "Deno" ? environmentOfDeno() : process.env });
  }
  return (facts) => make(facts);
}

function listenerOf(listener: unknown): FetchListener {
  if (typeof listener === "function") return listener as FetchListener;
  const { handleEvent } = (listener ?? {}) as { handleEvent?: unknown };
  if (typeof handleEvent === "function") return handleEvent.bind(listener) as FetchListener;
  throw new TypeError(`addEventListener("fetch", ...) needs a function, and got ${describeValue(listener)}.`);
}

/** The first answer that a listener gives; those after it are not asked. */
function answerOf(listeners: FetchListener[], request: Request, waitUntil: (promise: unknown) => void): unknown {
  let answer: { response: unknown } | null = null;
  const event: FetchEvent = {
    type: "fetch",
    request,
    respondWith(response) {
      if (answer !== null) throw new TypeError("respondWith was called twice.");
      answer = { response };
    },
    waitUntil,
    passThroughOnException() {},
  };
  for (const listener of listeners) {
    listener(event);
    if (answer !== null) return (answer as { response: unknown }).response;
  }
  throw new TypeError("No listener of the event fetch called event.respondWith, which has to be before it returns.");
}

type Served = (request: Request, info: object) => unknown;

/**
 * `Deno.serve(handler)`, `Deno.serve(options, handler)`, `Deno.serve({ handler })` and
 * `Bun.serve({ fetch })`.
 */
function servedBy(args: unknown[]): Served {
  const [first, second] = args;
  const options = (typeof first === "object" && first !== null ? first : {}) as { handler?: unknown; fetch?: unknown };
  const served = [first, second, options.handler, options.fetch].find((given) => typeof given === "function");
  if (served === undefined) throw new TypeError("serve needs a handler: Deno.serve((request) => new Response())");
  return served as Served;
}

function environmentOfDeno(): object {
  const { env } = process;
  return {
    get: (name: string) => env[name],
    has: (name: string) => env[name] !== undefined,
    set: (name: string, value: string) => {
      env[name] = value;
    },
    delete: (name: string) => {
      delete env[name];
    },
    toObject: () => ({ ...env }),
  };
}
