/** The use that functions made, as a tenant and an operator may see it. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { errorSchema } from "../../../functions/api/schemas.ts";
import { type HourUsageInfo, usageListSchema, usageQuery } from "../../../functions/api/usage.ts";
import { SandpiperError } from "../../../functions/model/errors.ts";
import { sees } from "../../../functions/model/scopes.ts";
import { HOUR_MS, type HourUsage, hourOf } from "../../../functions/model/usage.ts";
import { listTenants } from "../../../functions/store/tenant-states.ts";
import { readUsage } from "../../../functions/store/usage.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";
import { isOperator, tenantAsked } from "../operator.ts";

/** Most hours of all tenants that one request has Redis look at, and most entries of an answer. */
const MAX_HOURS = 200_000;
const MAX_ENTRIES = 50_000;
const DAY_HOURS = 24;

const usageRoute = keyedRoute({
  method: "get",
  path: "/v1/usage",
  summary: "Show what functions used, by the hour",
  request: { query: usageQuery },
  responses: {
    200: jsonBody(usageListSchema, "What was used, by hour, tenant and function."),
    400: jsonBody(errorSchema, "The times are not in order, or the answer would be too long."),
    404: jsonBody(errorSchema, "The tenant is another than the key's, which is not the operator's."),
  },
});

/** Adds /v1/usage. */
export function usageRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  app.openapi(usageRoute, async (c) => {
    const { tenant, function: functionName, from, to } = c.req.valid("query");
    const hours = hoursOf(from, to);
    const isForAll = tenant === undefined && (await isOperator(parts, c));
    const tenants = isForAll
      ? (await listTenants(parts.redis)).map((one) => one.tenant)
      : [await tenantAsked(parts, c, tenant)];
    if (((hours.toMs - hours.fromMs) / HOUR_MS) * tenants.length > MAX_HOURS) throw tooMuch();
    const { principal } = c.var;
    const isShown = (name: string) => (functionName ?? name) === name && sees(principal, name);
    const usage: HourUsageInfo[] = [];
    for (const one of tenants) await addTo(usage, readUsage(parts.redis, one, hours), isShown);
    const [begin, end] = [hours.fromMs, hours.toMs].map(isoOf) as [string, string];
    // Stable: of an hour, tenants and their functions stay in order.
    usage.sort((a, b) => (a.hour === b.hour ? 0 : a.hour < b.hour ? -1 : 1));
    return c.json({ from: begin, to: end, usage }, 200);
  });
}

/** Adds the entries of functions that are shown. @throws SandpiperError INVALID_REQUEST */
async function addTo(
  usage: HourUsageInfo[],
  entries: AsyncIterable<HourUsage>,
  isShown: (functionName: string) => boolean,
): Promise<void> {
  for await (const entry of entries) {
    if (isShown(entry.functionName) && usage.push(infoOf(entry)) > MAX_ENTRIES) throw tooMuch();
  }
}

/** Whole hours; the last 24, with the one that is not over, when nothing is said. */
function hoursOf(from: number | undefined, to: number | undefined): { fromMs: number; toMs: number } {
  const toMs = hourOf((to ?? Date.now() + HOUR_MS) + (to === undefined ? 0 : HOUR_MS - 1));
  const fromMs = from === undefined ? toMs - DAY_HOURS * HOUR_MS : hourOf(from);
  if (fromMs < toMs) return { fromMs, toMs };
  throw new SandpiperError("INVALID_REQUEST", { message: "`from` must be before `to`." });
}

function infoOf({ tenant, functionName, hourMs, counts }: HourUsage): HourUsageInfo {
  const { calls, cpuUs, memoryMibMs, bytesIn, bytesOut } = counts;
  const used = { calls, cpuMs: cpuUs / 1_000, memoryMibSeconds: memoryMibMs / 1_000, bytesIn, bytesOut };
  return { tenant, function: functionName, hour: isoOf(hourMs), ...used };
}

function isoOf(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

function tooMuch(): SandpiperError {
  const message = "That is too much for one answer: ask for less time between `from` and `to`, or for one tenant.";
  return new SandpiperError("INVALID_REQUEST", { message });
}
