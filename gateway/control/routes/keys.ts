/** API keys of a tenant: made, listed, replaced and ended. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import {
  type KeyInfo,
  keyListSchema,
  keyParam,
  madeKeySchema,
  newKeySchema,
  ofTenantQuery,
  rotationSchema,
} from "../../../functions/api/keys.ts";
import { errorSchema } from "../../../functions/api/schemas.ts";
import { addKey, type KeyFacts, listKeys, revokeKey, rotateKey } from "../../../functions/store/api-keys.ts";
import { KIB } from "../../../infra/std/bytes.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";
import { bodyLimit } from "../middleware/body-limit.ts";
import { tenantAsked } from "../operator.ts";

const MAX_BYTES = 8 * KIB;
const noTenant = jsonBody(errorSchema, "The tenant is another than the key's, which is not the operator's.");
const none = jsonBody(errorSchema, "There is no such key.");
const refused = jsonBody(errorSchema, "There are too many keys, or the key is the operator's.");

const listRoute = keyedRoute({
  method: "get",
  path: "/v1/keys",
  summary: "List API keys",
  request: { query: ofTenantQuery },
  responses: { 200: jsonBody(keyListSchema, "The keys, without what is secret of them."), 404: noTenant },
});

const createRoute = keyedRoute({
  method: "post",
  path: "/v1/keys",
  summary: "Make an API key",
  request: { query: ofTenantQuery, body: { required: true, ...jsonBody(newKeySchema, "What it may do.") } },
  responses: { 201: jsonBody(madeKeySchema, "The key, which is shown once."), 400: refused, 404: noTenant },
});

const rotateRoute = keyedRoute({
  method: "post",
  path: "/v1/keys/{keyId}/rotate",
  summary: "Replace an API key",
  description: "The new one may do the same, and lives as long as the old one was to live.",
  request: {
    params: keyParam,
    query: ofTenantQuery,
    body: { required: true, ...jsonBody(rotationSchema, "When the old one ends.") },
  },
  responses: { 201: jsonBody(madeKeySchema, "The new key, which is shown once."), 400: refused, 404: none },
});

const revokeRoute = keyedRoute({
  method: "delete",
  path: "/v1/keys/{keyId}",
  summary: "End an API key",
  request: { params: keyParam, query: ofTenantQuery },
  responses: { 204: { description: "It is no key any more." }, 400: refused, 404: none },
});

/** Adds /v1/keys. */
export function keyRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  const { redis, uploads } = parts;
  app.on("POST", ["/v1/keys", "/v1/keys/:keyId/rotate"], bodyLimit(MAX_BYTES, uploads));

  app.openapi(listRoute, async (c) => {
    const tenant = await tenantAsked(parts, c, c.req.valid("query").tenant);
    return c.json({ keys: (await listKeys(redis, tenant)).map(infoOf) }, 200);
  });

  app.openapi(createRoute, async (c) => {
    const tenant = await tenantAsked(parts, c, c.req.valid("query").tenant);
    const { functions = null, ...wish } = c.req.valid("json");
    const { key, facts } = await addKey(redis, tenant, { functions, ...wish });
    c.set("auditTarget", { target: facts.keyId });
    return c.json({ key, ...infoOf(facts) }, 201);
  });

  app.openapi(rotateRoute, async (c) => {
    const tenant = await tenantAsked(parts, c, c.req.valid("query").tenant);
    const { keyId } = c.req.valid("param");
    const { key, facts } = await rotateKey(redis, tenant, keyId, c.req.valid("json").overlapMs);
    c.set("auditTarget", { target: `${keyId} by ${facts.keyId}` });
    return c.json({ key, ...infoOf(facts) }, 201);
  });

  app.openapi(revokeRoute, async (c) => {
    const tenant = await tenantAsked(parts, c, c.req.valid("query").tenant);
    await revokeKey(redis, tenant, c.req.valid("param").keyId);
    return c.body(null, 204);
  });
}

function infoOf({
  isOperator,
  createdAtMs,
  expiresAtMs,
  lastUsedAtMs,
  scopes,
  functions,
  ...facts
}: KeyFacts): KeyInfo {
  const [createdAt, expiresAt, lastUsedAt] = [createdAtMs, expiresAtMs, lastUsedAtMs].map((timeMs) =>
    timeMs === null ? null : new Date(timeMs).toISOString(),
  ) as [string | null, string | null, string | null];
  const grant = { scopes: [...scopes], functions: functions && [...functions] };
  return { ...facts, ...grant, operator: isOperator, createdAt, expiresAt, lastUsedAt };
}
