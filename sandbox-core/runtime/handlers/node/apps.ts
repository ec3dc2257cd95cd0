/** Applications of frameworks that are exported as they are, and their function of `(req, res)`. */
import { isObject } from "../exports.ts";
import type { NodeFunction } from "./node.ts";

type Method = (...args: unknown[]) => unknown;
type Methods = Record<string, Method>;

/**
 * The function that answers a request of a default export that is an application of Koa, Fastify or
 * NestJS, or a server of node:http; null for anything else. Express's is such a function itself.
 */
export function appListener(main: unknown): NodeFunction | null {
  if (!isObject(main) || typeof main === "function") return null;
  const app = main as Methods;
  if (has(app, "getHttpAdapter", "init", "listen")) return nest(app);
  if (has(app, "callback", "listen", "use")) return app.callback?.() as NodeFunction;
  if (has(app, "routing", "ready", "listen")) return fastify(app);
  if (has(app, "emit", "listen", "listenerCount") && Number(app.listenerCount?.("request")) > 0) {
    return (req, res) => void app.emit?.("request", req, res);
  }
  return null;
}

function fastify(app: Methods): NodeFunction {
  return async (req, res) => {
    await app.ready?.();
    app.routing?.(req, res);
  };
}

/** NestJS stands on an application of Express or Fastify, whose routes are there after `init`. */
function nest(app: Methods): NodeFunction {
  const ready = once(async () => {
    await app.init?.();
    const adapter = app.getHttpAdapter?.() as Methods | undefined;
    const inner = adapter?.getInstance?.();
    return appListener(inner) ?? (inner as NodeFunction);
  });
  return async (req, res) => (await ready())(req, res);
}

function once<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let made: Promise<Value> | null = null;
  return () => {
    made ??= make();
    return made;
  };
}

function has(app: Methods, ...names: string[]): boolean {
  return names.every((name) => typeof app[name] === "function");
}
