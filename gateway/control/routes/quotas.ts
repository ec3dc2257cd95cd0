/** Shows quotas, and changes them for the operator. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { tenantParam } from "../../../functions/api/egress.ts";
import { quotaChangeSchema, quotaListSchema, quotaUseSchema } from "../../../functions/api/quotas.ts";
import { errorSchema } from "../../../functions/api/schemas.ts";
import { scopeOf } from "../../../functions/model/quotas.ts";
import { sees } from "../../../functions/model/scopes.ts";
import { allSettings, setQuotas } from "../../../functions/store/quotas.ts";
import { MIB } from "../../../infra/std/bytes.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";
import { bodyLimit } from "../middleware/body-limit.ts";
import { checkOperatorOf, isOperator, tenantAsked } from "../operator.ts";
import { quotaUse } from "../quota-use.ts";

const listRoute = keyedRoute({
  method: "get",
  path: "/v1/quotas",
  summary: "Show quotas",
  description:
    "With the operator's key of all tenants that have some, with others of the key's tenant, and of those functions that the key may see.",
  responses: { 200: jsonBody(quotaListSchema, "The limits.") },
});

const useRoute = keyedRoute({
  method: "get",
  path: "/v1/quotas/{tenant}",
  summary: "Show all limits of a tenant, and what it uses of them",
  request: { params: tenantParam },
  responses: {
    200: jsonBody(quotaUseSchema, "The limits."),
    404: jsonBody(errorSchema, "There is no such tenant, or none that the key may see."),
  },
});

const changeRoute = keyedRoute({
  method: "post",
  path: "/v1/quotas/{tenant}",
  summary: "Change the quotas of a tenant, or of one function of it",
  request: { params: tenantParam, body: { required: true, ...jsonBody(quotaChangeSchema, "The change.") } },
  responses: {
    200: jsonBody(quotaListSchema, "The tenant's limits now."),
    400: jsonBody(errorSchema, "A limit is not valid."),
    403: jsonBody(errorSchema, "The key is not the operator's."),
    404: jsonBody(errorSchema, "There is no such tenant, or none that the key may see."),
  },
});

/** Adds /v1/quotas. */
export function quotaRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  const { redis, quotaDefaults, uploads } = parts;
  app.on("POST", "/v1/quotas/:tenant", bodyLimit(MIB, uploads));

  const listOf = async (isShown: (tenant: string, functionName?: string) => boolean) => {
    const quotas = [...(await allSettings(redis)).quotas].flatMap(([scope, limits]) => {
      const [tenant = "", functionName] = scope.split("/");
      return isShown(tenant, functionName) ? [{ tenant, function: functionName ?? null, limits }] : [];
    });
    return { default: quotaDefaults, quotas };
  };

  app.openapi(listRoute, async (c) => {
    const { principal } = c.var;
    const seesAll = await isOperator(parts, c);
    const isShown = (tenant: string, functionName?: string): boolean =>
      seesAll || (tenant === principal.tenant && (functionName === undefined || sees(principal, functionName)));
    return c.json(await listOf(isShown), 200);
  });

  app.openapi(useRoute, async (c) => {
    const tenant = await tenantAsked(parts, c, c.req.valid("param").tenant);
    return c.json(await quotaUse(parts, tenant), 200);
  });

  app.openapi(changeRoute, async (c) => {
    const { tenant } = c.req.valid("param");
    await checkOperatorOf(parts, c, tenant);
    const { function: functionName, limits } = c.req.valid("json");
    await setQuotas(redis, scopeOf(tenant, functionName), limits);
    await parts.quotas.read();
    return c.json(await listOf((one) => one === tenant), 200);
  });
}
