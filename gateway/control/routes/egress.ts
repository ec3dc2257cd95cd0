/** Shows and changes what functions of each tenant may connect to. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { grantChangeSchema, grantListSchema, grantsChangedSchema, tenantParam } from "../../../functions/api/egress.ts";
import { errorSchema } from "../../../functions/api/schemas.ts";
import {
  type EgressGrants,
  type GrantList,
  MAX_GRANTS,
  NO_GRANTS,
  readGrant,
} from "../../../functions/model/egress-grants.ts";
import { SandpiperError } from "../../../functions/model/errors.ts";
import { allGrants, changeGrants, grantsOf } from "../../../functions/store/egress-grants.ts";
import { MIB } from "../../../infra/std/bytes.ts";
import type { ControlParts, Environment } from "../context.ts";
import { refusedRules } from "../egress.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";
import { bodyLimit } from "../middleware/body-limit.ts";
import { checkOperatorOf, isOperator } from "../operator.ts";

const operatorOnly = jsonBody(errorSchema, "The key is not the operator's.");
const none = jsonBody(errorSchema, "There is no such tenant, or none that the key may see.");

const listRoute = keyedRoute({
  method: "get",
  path: "/v1/egress",
  summary: "Show what functions may connect to",
  description: "With the operator's key of all tenants that have grants, with others of the key's tenant alone.",
  responses: { 200: jsonBody(grantListSchema, "The grants.") },
});

const changeRoute = keyedRoute({
  method: "post",
  path: "/v1/egress/{tenant}",
  summary: "Change what a tenant's functions may connect to",
  request: { params: tenantParam, body: { required: true, ...jsonBody(grantChangeSchema, "The change.") } },
  responses: {
    200: jsonBody(grantsChangedSchema, "The grants now."),
    400: jsonBody(errorSchema, "A rule is not valid."),
    403: operatorOnly,
    404: none,
  },
});

const resetRoute = keyedRoute({
  method: "delete",
  path: "/v1/egress/{tenant}",
  summary: "Take all grants of a tenant back",
  request: { params: tenantParam },
  responses: { 200: jsonBody(grantsChangedSchema, "The default counts now."), 403: operatorOnly, 404: none },
});

/** Adds /v1/egress. */
export function egressRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  const { redis, egressDefaults, uploads } = parts;
  app.on("POST", "/v1/egress/:tenant", bodyLimit(MIB, uploads));

  app.openapi(listRoute, async (c) => {
    const { tenant } = c.var.principal;
    const { allow, deny } = egressDefaults;
    const own: [string, EgressGrants][] = [[tenant, await grantsOf(redis, tenant)]];
    const all = (await isOperator(parts, c)) ? await allGrants(redis) : own;
    const tenants = all.map(([name, grants]) => ({ tenant: name, ...grants }));
    return c.json({ default: { allow, deny: [...deny] }, tenants }, 200);
  });

  app.openapi(changeRoute, async (c) => {
    const { tenant } = c.req.valid("param");
    await checkOperatorOf(parts, c, tenant);
    const { list, ...change } = c.req.valid("json");
    const grants = await changeGrants(redis, tenant, (before) => {
      const after = { ...before, [list]: changed(list, before[list] ?? [], change) };
      return after;
    });
    return c.json({ grants: { tenant, ...grants }, refused: await refusedRules(parts, tenant) }, 200);
  });

  app.openapi(resetRoute, async (c) => {
    const { tenant } = c.req.valid("param");
    await checkOperatorOf(parts, c, tenant);
    await changeGrants(redis, tenant, () => null);
    return c.json({ grants: { tenant, ...NO_GRANTS }, refused: await refusedRules(parts, tenant) }, 200);
  });
}

interface Change {
  add: readonly string[];
  remove: readonly string[];
  clear: boolean;
}

/** @throws SandpiperError INVALID_REQUEST when there are too many rules then */
function changed(list: GrantList, before: readonly string[], { add, remove, clear }: Change): string[] {
  const canonical = (texts: readonly string[]) =>
    texts.map((text) => readGrant(list, text)).flatMap((grant) => ("text" in grant ? [grant.text] : []));
  const gone = new Set(canonical(remove));
  const kept = clear ? [] : before.filter((text) => !gone.has(text));
  const after = [...new Set([...kept, ...canonical(add)])].sort();
  if (after.length <= MAX_GRANTS) return after;
  throw new SandpiperError("INVALID_REQUEST", { message: `${after.length} rules; a list has at most ${MAX_GRANTS}.` });
}
