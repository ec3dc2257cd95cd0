/** How one call went: its record, and its trace. */
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import { errorSchema } from "../../../functions/api/schemas.ts";
import { traceSchema } from "../../../functions/api/traces.ts";
import { SandpiperError } from "../../../functions/model/errors.ts";
import { invocationRecordSchema } from "../../../functions/model/record.ts";
import { type KeyGrant, sees } from "../../../functions/model/scopes.ts";
import { findInvocation } from "../../../functions/store/logs.ts";
import { readTrace } from "../../../functions/store/traces.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";

const invocationRoute = keyedRoute({
  method: "get",
  path: "/v1/invocations/{id}",
  summary: "Show how a call ended",
  request: { params: z.object({ id: z.string().openapi({ param: { name: "id", in: "path" }, format: "uuid" }) }) },
  responses: { 200: jsonBody(invocationRecordSchema, "The record."), 404: jsonBody(errorSchema, "There is none.") },
});

const traceRoute = keyedRoute({
  method: "get",
  path: "/v1/traces/{traceId}",
  summary: "Show the spans of a sampled call",
  request: { params: z.object({ traceId: z.string().openapi({ param: { name: "traceId", in: "path" } }) }) },
  responses: { 200: jsonBody(traceSchema, "The spans by start."), 404: jsonBody(errorSchema, "There are none (yet).") },
});

/** Adds the routes of records and traces. */
export function traceRoutes(app: OpenAPIHono<Environment>, { redis }: ControlParts): void {
  app.openapi(invocationRoute, async (c) => {
    const record = await findInvocation(redis, c.var.principal.tenant, c.req.valid("param").id);
    if (!record || !sees(c.var.principal, record.functionName)) throw new SandpiperError("INVOCATION_NOT_FOUND");
    return c.json(record, 200);
  });

  app.openapi(traceRoute, async (c) => {
    const spans = await readTrace(redis, c.var.principal.tenant, c.req.valid("param").traceId);
    if (!spans?.every(({ attributes }) => isSeen(c.var.principal, attributes["faas.name"])))
      throw new SandpiperError("TRACE_NOT_FOUND");
    return c.json({ spans }, 200);
  });
}

/** A span that names no function is for keys of the whole tenant. */
function isSeen(grant: Pick<KeyGrant, "functions">, functionName: unknown): boolean {
  return grant.functions === null || (typeof functionName === "string" && sees(grant, functionName));
}
