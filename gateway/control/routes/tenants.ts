/** Tenants: the operator's to make, to suspend and to delete. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { tenantParam } from "../../../functions/api/egress.ts";
import { errorSchema } from "../../../functions/api/schemas.ts";
import {
  newTenantSchema,
  type TenantDetails,
  tenantChangeSchema,
  tenantDeletedSchema,
  tenantListSchema,
  tenantSchema,
} from "../../../functions/api/tenants.ts";
import { USUAL_WEIGHT } from "../../../functions/model/tenants.ts";
import { allSettings, setWeight, weightOf } from "../../../functions/store/quotas.ts";
import { deleteTenant, refuseOperators } from "../../../functions/store/tenant-deletion.ts";
import {
  addTenant,
  findTenant,
  listTenants,
  moveTenant,
  noTenant,
  type TenantInfo,
} from "../../../functions/store/tenant-states.ts";
import { KIB } from "../../../infra/std/bytes.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";
import { bodyLimit } from "../middleware/body-limit.ts";
import { checkOperator, checkOperatorOf, isOperator } from "../operator.ts";

const operatorOnly = jsonBody(errorSchema, "The key is not the operator's.");
const none = jsonBody(errorSchema, "There is no such tenant, or none that the key may see.");
const protectedTenant = jsonBody(errorSchema, "The tenant has an operator's key.");

const createRoute = keyedRoute({
  method: "post",
  path: "/v1/tenants",
  summary: "Make a tenant",
  request: { body: { required: true, ...jsonBody(newTenantSchema, "Its name.") } },
  responses: {
    201: jsonBody(tenantSchema, "The tenant, without functions and keys."),
    403: operatorOnly,
    409: jsonBody(errorSchema, "The name is taken, or was until a moment ago."),
  },
});

const listRoute = keyedRoute({
  method: "get",
  path: "/v1/tenants",
  summary: "List tenants",
  description: "With the operator's key all of them, with others the key's own.",
  responses: { 200: jsonBody(tenantListSchema, "The tenants.") },
});

const infoRoute = keyedRoute({
  method: "get",
  path: "/v1/tenants/{tenant}",
  summary: "Show a tenant",
  request: { params: tenantParam },
  responses: { 200: jsonBody(tenantSchema, "The tenant."), 404: none },
});

const changeRoute = keyedRoute({
  method: "post",
  path: "/v1/tenants/{tenant}",
  summary: "Change a tenant's weight",
  request: { params: tenantParam, body: { required: true, ...jsonBody(tenantChangeSchema, "The change.") } },
  responses: { 200: jsonBody(tenantSchema, "The tenant now."), 403: operatorOnly, 404: none },
});

const suspendRoute = keyedRoute({
  method: "post",
  path: "/v1/tenants/{tenant}/suspend",
  summary: "Refuse a tenant's calls and changes",
  request: { params: tenantParam },
  responses: { 200: jsonBody(tenantSchema, "It is suspended."), 400: protectedTenant, 403: operatorOnly, 404: none },
});

const resumeRoute = keyedRoute({
  method: "post",
  path: "/v1/tenants/{tenant}/resume",
  summary: "End a tenant's suspension",
  request: { params: tenantParam },
  responses: { 200: jsonBody(tenantSchema, "It is active."), 403: operatorOnly, 404: none },
});

const deleteRoute = keyedRoute({
  method: "delete",
  path: "/v1/tenants/{tenant}",
  summary: "Delete a tenant with everything that it has",
  description: "One that broke off is carried on when it is asked for again, or by the next collection.",
  request: { params: tenantParam },
  responses: {
    200: jsonBody(tenantDeletedSchema, "It is gone."),
    ...{ 400: protectedTenant, 403: operatorOnly, 404: none },
  },
});

/** Adds /v1/tenants. */
export function tenantRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  const { redis, stops, uploads } = parts;
  for (const path of ["/v1/tenants", "/v1/tenants/:tenant"]) app.on("POST", path, bodyLimit(KIB, uploads));

  app.openapi(createRoute, async (c) => {
    await checkOperator(parts, c);
    const { tenant, weight = USUAL_WEIGHT } = c.req.valid("json");
    c.set("auditTarget", { target: tenant, tenant });
    const made = await addTenant(redis, tenant);
    await setWeight(redis, tenant, weight);
    return c.json(detailsOf(made, weight), 201);
  });

  app.openapi(listRoute, async (c) => {
    const own = c.var.principal.tenant;
    const [tenants, { weights }] = await Promise.all([listTenants(redis), allSettings(redis)]);
    const seen = (await isOperator(parts, c)) ? tenants : tenants.filter(({ tenant }) => tenant === own);
    return c.json({ tenants: seen.map((one) => detailsOf(one, weights.get(one.tenant) ?? USUAL_WEIGHT)) }, 200);
  });

  app.openapi(infoRoute, async (c) => {
    const { tenant } = c.req.valid("param");
    if (tenant !== c.var.principal.tenant) await checkOperator(parts, c, tenant);
    return c.json(await details(parts, tenant), 200);
  });

  app.openapi(changeRoute, async (c) => {
    const { tenant } = c.req.valid("param");
    await checkOperatorOf(parts, c, tenant);
    await setWeight(redis, tenant, c.req.valid("json").weight);
    await parts.quotas.read();
    return c.json(await details(parts, tenant), 200);
  });

  app.openapi(suspendRoute, async (c) => {
    const { tenant } = c.req.valid("param");
    await checkOperator(parts, c, tenant);
    await refuseOperators(redis, tenant);
    await moveTenant(redis, tenant, "suspended");
    await stops.read();
    return c.json(await details(parts, tenant), 200);
  });

  app.openapi(resumeRoute, async (c) => {
    const { tenant } = c.req.valid("param");
    await checkOperator(parts, c, tenant);
    await moveTenant(redis, tenant, "active");
    await stops.read();
    return c.json(await details(parts, tenant), 200);
  });

  app.openapi(deleteRoute, async (c) => {
    const { tenant } = c.req.valid("param");
    await checkOperator(parts, c, tenant);
    const removed = await deleteTenant(parts, tenant);
    return c.json({ tenant, removed }, 200);
  });
}

async function details({ redis }: ControlParts, tenant: string): Promise<TenantDetails> {
  const info = await findTenant(redis, tenant);
  if (info === null) throw noTenant(tenant);
  return detailsOf(info, await weightOf(redis, tenant));
}

function detailsOf({ tenant, state, sinceMs, createdAtMs }: TenantInfo, weight: number): TenantDetails {
  const since = sinceMs === null ? null : new Date(sinceMs).toISOString();
  return { tenant, state, since, createdAt: new Date(createdAtMs).toISOString(), weight };
}
