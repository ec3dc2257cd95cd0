/** The owner of a key, and the description of this API. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { whoamiSchema } from "../../../functions/api/schemas.ts";
import { factsOf } from "../../../functions/store/api-keys.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";

const whoamiRoute = keyedRoute({
  method: "get",
  path: "/v1/whoami",
  summary: "Show whose key this is",
  responses: {
    200: jsonBody(whoamiSchema, "The key's."),
  },
});

const openapiRoute = createRoute({
  method: "get",
  path: "/v1/openapi.json",
  summary: "This document",
  responses: { 200: jsonBody(z.record(z.string(), z.unknown()), "OpenAPI 3.1") },
});

const ABOUT = {
  openapi: "3.1.0",
  info: {
    title: "Sandpiper",
    version: "1",
    description:
      "The control API. Functions themselves are called without a key: on hosts of their own, where this API is not, and at /fn/{tenant}/{function}/.",
  },
};

/** Adds /v1/whoami. */
export function whoamiRoutes(app: OpenAPIHono<Environment>, { origins, redis }: ControlParts): void {
  app.openapi(whoamiRoute, async (c) => {
    const { tenant, keyId, scopes, functions } = c.var.principal;
    const { isOperator: operator, expiresAtMs } = await factsOf(redis, tenant, keyId);
    const expiresAt = expiresAtMs === null ? null : new Date(expiresAtMs).toISOString();
    const grant = { scopes: [...scopes], functions: functions && [...functions], expiresAt };
    return c.json({ tenant, keyId, publicUrl: origins.baseUrl(c.env.incoming), operator, ...grant }, 200);
  });
}

/** Adds /v1/openapi.json, which needs no key. */
export function openapiRoutes(app: OpenAPIHono<Environment>): void {
  app.openAPIRegistry.registerComponent("securitySchemes", "apiKey", {
    type: "http",
    scheme: "bearer",
    description: "An API key: sp_<id>_<secret>.",
  });
  app.openAPIRegistry.registerPath(openapiRoute);
  let text: string | undefined;
  app.get(openapiRoute.path, (c) => {
    text ??= JSON.stringify(app.getOpenAPI31Document(ABOUT));
    return c.body(text, 200, { "content-type": "application/json" });
  });
}
