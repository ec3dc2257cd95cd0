/** Whether this process lives, and whether calls can be answered. Neither needs a key. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { aliveSchema, readySchema } from "../../../functions/api/schemas.ts";
import { linkOf } from "../../../functions/redis/link.ts";
import { describeSkew } from "../../../functions/redis/link-report.ts";
import { degradedWalls, listWorkers, type WorkerInfo } from "../../../functions/store/workers.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody } from "../keyed-route.ts";

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
export function healthRoutes(app: OpenAPIHono<Environment>, { redis, accepting, leaving }: ControlParts): void {
  app.openapi(healthRoute, (c) => c.json({ alive: true } as const, 200));

  app.openapi(readyRoute, async (c) => {
    const workers = accepting() ? await listWorkers(redis).catch(() => null) : null;
    const reason = leaving() ? "This gateway is shutting down." : whyNot(workers);
    const clocks = wrongClocks(linkOf(redis).clock.aheadMs, workers ?? []);
    const answer = {
      ready: reason === null,
      workers: workers?.length ?? 0,
      degraded: degradedWalls(workers ?? []),
      ...(clocks.length > 0 && { clocks }),
      ...(reason !== null && { reason }),
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

function whyNot(workers: WorkerInfo[] | null): string | null {
  if (workers === null) return "Redis is not reachable.";
  return workers.length === 0 ? "No worker is alive." : null;
}
