/** The audit log, as a tenant and an operator may read it. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { auditListSchema, auditQuery } from "../../../functions/api/audit.ts";
import { errorSchema } from "../../../functions/api/schemas.ts";
import { readAudit } from "../../../functions/store/audit.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";
import { isOperator, tenantAsked } from "../operator.ts";

const auditRoute = keyedRoute({
  method: "get",
  path: "/v1/audit",
  summary: "Read the audit log",
  request: { query: auditQuery },
  responses: {
    200: jsonBody(auditListSchema, "Acts of administration, oldest first."),
    404: jsonBody(errorSchema, "The tenant is another than the key's, which is not the operator's."),
  },
});

/** Adds /v1/audit. */
export function auditRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  app.openapi(auditRoute, async (c) => {
    const { tenant, action, since, limit } = c.req.valid("query");
    const isOperators = tenant === undefined && (await isOperator(parts, c));
    const log = isOperators ? null : await tenantAsked(parts, c, tenant);
    const found = await readAudit(parts.redis, log, { action, sinceMs: since, limit });
    const entries = found.map(({ timeMs, ...act }) => ({ time: new Date(timeMs).toISOString(), ...act }));
    return c.json({ entries }, 200);
  });
}
