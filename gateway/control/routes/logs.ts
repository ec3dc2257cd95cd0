/** The log of a function: NDJSON, oldest first, and on request what comes. */
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import { errorSchema, logsQuery, nameParam } from "../../../functions/api/schemas.ts";
import { SandpiperError } from "../../../functions/model/errors.ts";
import { followLogs, type LogFilter, newestPlace, type PlacedEntry, readLogs } from "../../../functions/store/logs.ts";
import type { FunctionRef } from "../../../functions/store/registry.ts";
import { Holdings, mayTake } from "../../../infra/std/fair-share.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";
import { noFunction } from "./functions.ts";

/** Each follower has a connection to Redis of its own. A tenant leaves some to others. */
const MAX_FOLLOWERS = 64;
/** An empty line tells a client and whatever is between that the stream is alive. */
const KEEP_ALIVE_MS = 15_000;

const logsRoute = keyedRoute({
  method: "get",
  path: "/v1/functions/{name}/logs",
  summary: "Read a function's log",
  request: { params: nameParam, query: logsQuery },
  responses: {
    200: {
      description: 'One log record, or {"end": Invocation}, a line. Empty lines mean nothing.',
      content: { "application/x-ndjson": { schema: z.string() } },
    },
    404: jsonBody(errorSchema, "There is no such function."),
    429: jsonBody(errorSchema, "Too many clients follow logs already."),
  },
});

/** Adds the route of a function's log. */
export function logRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  const followers = new Holdings();
  app.openapi(logsRoute, async (c) => {
    const { limit, invocation, since, follow } = c.req.valid("query");
    const ref = { tenant: c.var.principal.tenant, functionName: c.req.valid("param").name };
    if ((await parts.registry.currentVersion(ref)) === null) throw noFunction(ref.functionName);
    const filter: LogFilter = {
      ...(invocation !== undefined && { invocationId: invocation }),
      ...(since !== undefined && { sinceMs: since }),
    };
    if (follow === "0") return ndjson((await readLogs(parts.redis, ref, { ...filter, limit })).map(lineOf).join(""));
    const { tenant } = ref;
    const taking = { own: followers.of(tenant), want: 1, used: followers.total, size: MAX_FOLLOWERS };
    if (!mayTake(taking)) throw new SandpiperError("TOO_MANY_FOLLOWERS");
    const leave = new AbortController();
    const signal = AbortSignal.any([leave.signal, c.req.raw.signal, parts.closing]);
    if (signal.aborted) throw new SandpiperError("CLIENT_GONE");
    // Counted before anything is awaited, so that many at the same moment are not more than there
    // may be.
    followers.add(tenant, 1);
    signal.addEventListener("abort", () => followers.add(tenant, -1), { once: true });
    const { start, past } = await untilNow(parts, ref, { ...filter, limit }).catch((error) => {
      leave.abort();
      throw error;
    });
    const after = past.at(-1)?.place ?? start;
    return ndjson(followed(parts, ref, { ...filter, after }, past, { signal, leave: () => leave.abort() }));
  });
}

/** The entries that there are, and the place behind which they go on. */
async function untilNow({ redis }: ControlParts, ref: FunctionRef, filter: LogFilter & { limit: number }) {
  // Before the past is read: what is written in between is in either.
  const start = await newestPlace(redis, ref);
  return { start, past: await readLogs(redis, ref, filter) };
}

/** The types of @hono/zod-openapi know no other answers than JSON and text. */
function ndjson(body: string | ReadableStream<Uint8Array>): never {
  const headers = { "content-type": "application/x-ndjson", "cache-control": "no-store" };
  return new Response(body, { headers }) as never;
}

/** The log so far, and then what comes, as fast as the client reads it. */
function followed(
  parts: ControlParts,
  ref: FunctionRef,
  filter: LogFilter & { after: string },
  past: PlacedEntry[],
  { signal, leave }: { signal: AbortSignal; leave: () => void },
): ReadableStream<Uint8Array> {
  const entries = followLogs(parts.redis, ref, { ...filter, signal });
  const encoder = new TextEncoder();
  let keepAlive: NodeJS.Timeout | undefined;
  const end = (): void => {
    clearInterval(keepAlive);
    leave();
  };
  return new ReadableStream({
    start(controller) {
      if (past.length > 0) controller.enqueue(encoder.encode(past.map(lineOf).join("")));
      keepAlive = setInterval(() => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode("\n"));
      }, KEEP_ALIVE_MS);
      signal.addEventListener("abort", () => clearInterval(keepAlive), { once: true });
    },
    async pull(controller) {
      const next = await entries.next().catch(() => ({ done: true as const, value: undefined }));
      if (!next.done) return controller.enqueue(encoder.encode(lineOf(next.value)));
      end();
      controller.close();
    },
    cancel: end,
  });
}

function lineOf({ entry }: PlacedEntry): string {
  return `${JSON.stringify(entry)}\n`;
}
