/** Whether this process lives, and whether calls can be answered. Neither needs a key. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { aliveSchema, readySchema } from "../../../functions/api/schemas.ts";
import { linkOf } from "../../../functions/redis/link.ts";
import { describeSkew } from "../../../functions/redis/link-report.ts";
import { degradedWalls, listWorkers, type WorkerInfo } from "../../../functions/store/workers.ts";
import { whyNotWritable } from "../../../functions/store/writable.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody } from "../keyed-route.ts";

/** Anybody may ask, and each look is a write. */
const REMEMBER_MS = 500;

const healthRoute = createRoute({
  method: "get",
  path: "/healthz",
  summary: "Whether the gateway runs",
  responses: { 200: jsonBody(aliveSchema, "It does.") },
});

const readyRoute = createRoute({
  method: "get",
  path: "/readyz",
  summary: "Whether calls can be answered",
  responses: {
    200: jsonBody(readySchema, "They can: Redis answers and a worker is alive."),
    503: jsonBody(readySchema, "They cannot, for the reason given."),
  },
});

/** Adds /healthz and /readyz. */
export function healthRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  const { redis } = parts;
  const refusal = remembered(REMEMBER_MS, () => whyNotWritable(redis));
  app.openapi(healthRoute, (c) => c.json({ alive: true } as const, 200));

  app.openapi(readyRoute, async (c) => {
    const workers = await listWorkers(redis).catch(() => null);
    const reason = await whyNot(parts, refusal, workers);
    const clocks = wrongClocks(linkOf(redis).clock.aheadMs, workers ?? []);
    const answer = {
      ready: reason === null,
      workers: workers?.length ?? 0,
      degraded: degradedWalls(workers ?? []),
      ...(clocks.length > 0 && { clocks }),
      ...(reason !== null && { reason }),
      warnings: warningsOf(workers ?? []),
    };
    return c.json(answer, reason === null ? 200 : 503);
  });
}

function wrongClocks(gatewayAheadMs: number, workers: WorkerInfo[]): string[] {
  const others = workers.map(({ id, clockAheadMs = 0 }) => ({ whose: `worker ${id}`, aheadMs: clockAheadMs }));
  return [{ whose: "this gateway", aheadMs: gatewayAheadMs }, ...others].flatMap(({ whose, aheadMs }) => {
    const error = describeSkew(aheadMs);
    return error === null ? [] : [`${whose}: ${error}`];
  });
}

/** The first thing that keeps calls from being answered, in the order in which they need it. */
async function whyNot(
  { accepting, leaving, closing }: ControlParts,
  refusal: () => Promise<string | null>,
  workers: WorkerInfo[] | null,
): Promise<string | null> {
  if (leaving() || closing.aborted) return "This gateway is shutting down.";
  const refused = await refusal();
  if (refused !== null) return refused;
  if (!accepting()) return "The gateway's connections to Redis are not back yet.";
  if (workers === null) return "Redis is not reachable.";
  return workers.length === 0 ? "No worker is alive." : null;
}

/** Troubles of workers that answer calls all the same. */
function warningsOf(workers: readonly WorkerInfo[]): string[] {
  return workers
    .filter(({ posture }) => posture.fallback !== undefined)
    .map(
      ({ id, posture }) => `The worker ${id} starts a process for each sandbox, which is slow: ${posture.fallback}.`,
    );
}

/** The last answer, for a moment; whoever asks meanwhile waits for the same one. */
function remembered<T>(forMs: number, ask: () => Promise<T>): () => Promise<T> {
  let last: Promise<T> | undefined;
  let untilMs = 0;
  return () => {
    if (last === undefined || performance.now() > untilMs) {
      last = ask();
      untilMs = performance.now() + forMs;
    }
    return last;
  };
}
