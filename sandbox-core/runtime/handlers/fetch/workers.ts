/**
 * The module `cloudflare:workers`, as far as it has a meaning here:
 * https://developers.cloudflare.com/workers/runtime-apis/
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { provideModule } from "../../builtins.ts";
import type { FunctionFacts, Handler, HandlerCall } from "../handler.ts";
import type { FetchContext, FetchFunction } from "./fetch.ts";

/** A class whose objects have the context and the environment, as all of Cloudflare's. */
class Entrypoint {
  protected readonly ctx: unknown;
  protected readonly env: unknown;

  constructor(ctx: unknown, env: unknown) {
    this.ctx = ctx;
    this.env = env;
  }
}
class WorkerEntrypoint extends Entrypoint {}
class DurableObject extends Entrypoint {}
class WorkflowEntrypoint extends Entrypoint {}
class RpcTarget {}

/** Classes that somebody else makes objects of, which nobody here does, and what they are. */
const UNUSED: [base: typeof Entrypoint, what: string][] = [
  [DurableObject, "a Durable Object"],
  [WorkflowEntrypoint, "a Workflow"],
];

/** The calls of modules that import `waitUntil`; null where none is imported. */
let calls: AsyncLocalStorage<HandlerCall> | null = null;

/** Lets functions import the module, whose environment is that of the version. */
export function provideWorkers({ env }: Pick<FunctionFacts, "env">): void {
  provideModule("cloudflare:workers", () => {
    const running = new AsyncLocalStorage<HandlerCall>();
    calls = running;
    const waitUntil = (promise: unknown): void => {
      const call = running.getStore();
      if (call === undefined) throw new Error("waitUntil was called outside of a call.");
      call.waitUntil(promise);
    };
    return { env, waitUntil, WorkerEntrypoint, DurableObject, WorkflowEntrypoint, RpcTarget };
  });
}

/** The handler, within whose calls the imported `waitUntil` knows its call. */
export function inCallOfWorkers(handler: Handler): Handler {
  const running = calls;
  if (running === null) return handler;
  return Object.assign((call: HandlerCall) => running.run(call, handler, call), handler);
}

/** The fetch function of a default export that is a class, of which each call has an object. */
export function entrypointFetch(main: unknown): FetchFunction | null {
  if (typeof main !== "function" || typeof main.prototype?.fetch !== "function") return null;
  const Main = main as new (ctx: FetchContext, env: object) => { fetch: FetchFunction };
  return (request, env, ctx) => new Main(ctx, env).fetch(request, env, ctx);
}

/** Names a class that only Cloudflare makes objects of; null for any other export. */
export function unusedClass(exported: unknown): string | null {
  if (typeof exported !== "function") return null;
  const { prototype } = exported;
  return UNUSED.find(([base]) => prototype instanceof base)?.[1] ?? null;
}
