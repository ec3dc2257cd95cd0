/** Deploys, lists, shows and deletes functions. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import {
  deployedSchema,
  deploymentSchema,
  errorSchema,
  type FunctionInfo,
  functionListSchema,
  functionSchema,
  HOLDER_FIELD,
  holderHeader,
  nameParam,
} from "../../../functions/api/schemas.ts";
import { preconditionHeaders } from "../../../functions/api/versions.ts";
import { shortVersion } from "../../../functions/model/alias.ts";
import { readRoute } from "../../../functions/model/routes.ts";
import { sees } from "../../../functions/model/scopes.ts";
import { envNamesOf, warningsOf } from "../../../functions/model/version.ts";
import { findDomain, listDomains } from "../../../functions/store/domains/domains.ts";
import { deleteLogs } from "../../../functions/store/logs.ts";
import type { FunctionState } from "../../../functions/store/registry.ts";
import type { ControlParts, Environment } from "../context.ts";
import { deploy, MAX_DEPLOY_BYTES } from "../deploy.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";
import { bodyLimit } from "../middleware/body-limit.ts";
import { noFunction } from "../no-function.ts";
import { expectedOf } from "../precondition.ts";
import { type KeptFor, keptFor, nextWarm } from "../provisions.ts";
import { previewUrl, urlsOf } from "../urls.ts";

export { noFunction } from "../no-function.ts";

const deployRoute = keyedRoute({
  method: "put",
  path: "/v1/functions/{name}",
  summary: "Deploy a function",
  request: {
    params: nameParam,
    headers: holderHeader.extend(preconditionHeaders.shape),
    body: { required: true, ...jsonBody(deploymentSchema, "Configuration and sources.") },
  },
  responses: {
    200: jsonBody(deployedSchema, "A function that was there runs this version now."),
    201: jsonBody(deployedSchema, "A new function runs this version."),
    400: jsonBody(errorSchema, "The configuration or the sources are not valid."),
    403: jsonBody(errorSchema, "The tenant is not granted what the function declares in `egress`."),
    413: jsonBody(errorSchema, "The sources are too large."),
    409: jsonBody(
      errorSchema,
      "Somebody else holds the name, or files that it names by their SHA-256 were not uploaded.",
    ),
    412: jsonBody(errorSchema, "What is live is not what `if-match` or `if-none-match` says: nothing was deployed."),
    429: jsonBody(errorSchema, "The tenant has as many functions or deployments as it may, or these wrote too much."),
    422: jsonBody(errorSchema, "The version does not build, or does not load; the message shows where."),
  },
});

const listRoute = keyedRoute({
  method: "get",
  path: "/v1/functions",
  summary: "List functions",
  responses: {
    200: jsonBody(functionListSchema, "All functions of the tenant, by name."),
  },
});

const infoRoute = keyedRoute({
  method: "get",
  path: "/v1/functions/{name}",
  summary: "Show a function",
  request: { params: nameParam },
  responses: { 200: jsonBody(functionSchema, "The function."), 404: jsonBody(errorSchema, "There is none.") },
});

const deleteRoute = keyedRoute({
  method: "delete",
  path: "/v1/functions/{name}",
  summary: "Delete a function",
  description: "With a holder, only the function that it holds is deleted.",
  request: { params: nameParam, headers: holderHeader },
  responses: { 204: { description: "It is gone." }, 404: jsonBody(errorSchema, "There is none.") },
});

/** Adds the routes below /v1/functions, except for logs. */
export function functionRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  app.on("PUT", "/v1/functions/:name", bodyLimit(MAX_DEPLOY_BYTES, parts.uploads));
  app.openapi(deployRoute, async (c) => {
    const { name } = c.req.valid("param");
    const holder = c.req.valid("header")[HOLDER_FIELD];
    const { tenant, keyId } = c.var.principal;
    await checkRoutes(parts, c, c.req.valid("json").config.routes);
    const facts = { by: keyId, holder, expected: expectedOf(c.req.valid("header")) };
    const { version, created, ...said } = await deploy(parts, tenant, name, c.req.valid("json"), facts);
    const { bundleBytes, contents = null, config, found } = version;
    const [urls, handler] = [urlsOf(parts, c, name, config), found?.handler ?? null];
    const versionUrl = previewUrl(parts, c, name, shortVersion(version.version), config);
    const deployed = { name, version: version.version, ...urls, versionUrl, created, bundleBytes, handler };
    return c.json({ ...deployed, ...said, contents, warnings: warningsOf(version) }, created ? 201 : 200);
  });

  app.openapi(listRoute, async (c) => {
    const functions = await parts.registry.listFunctions(c.var.principal.tenant);
    const seen = functions.filter(({ functionName }) => sees(c.var.principal, functionName));
    const kept = await keptFor(parts, seen);
    return c.json({ functions: seen.map((state) => infoOf(parts, c, state, kept)) }, 200);
  });

  app.openapi(infoRoute, async (c) => {
    const { name } = c.req.valid("param");
    const state = await parts.registry.getFunction({ tenant: c.var.principal.tenant, functionName: name });
    if (!state) throw noFunction(name);
    const kept = await keptFor(parts, [state]);
    const info = infoOf(parts, c, state, kept);
    const warm = info.warm && { ...info.warm, next: nextWarm(state) };
    return c.json({ ...info, warm, ...(await domainsOf(parts, state)) }, 200);
  });

  app.openapi(deleteRoute, async (c) => {
    const ref = { tenant: c.var.principal.tenant, functionName: c.req.valid("param").name };
    const holder = c.req.valid("header")[HOLDER_FIELD];
    if (!(await parts.registry.deleteFunction(ref, holder))) throw noFunction(ref.functionName);
    parts.versions.forget(`${ref.tenant}/${ref.functionName}`);
    await deleteLogs(parts.redis, ref);
    return c.body(null, 204);
  });
}

/**
 * A key for single functions gets no paths of domains that others of its tenant answer at.
 * @throws SandpiperError DOMAIN_NOT_FOUND
 */
async function checkRoutes({ redis }: ControlParts, c: Context<Environment>, routes: readonly string[] = []) {
  const { tenant, functions } = c.var.principal;
  if (functions === null) return;
  for (const text of routes) {
    const route = readRoute(text);
    if ("domain" in route) await findDomain(redis, tenant, route.domain, functions);
  }
}

/** The domains that are bound to a function, and its routes at others. */
async function domainsOf({ redis }: ControlParts, { tenant, functionName, version }: FunctionState) {
  const all = await listDomains(redis, tenant);
  const isProven = (domain: string) => all.some(({ name, proven }) => name === domain && proven !== null);
  const own = all.filter((one) => one.functionName === functionName);
  const routes = (version.config.routes ?? []).map((route) => {
    return { route, proven: isProven(route.slice(0, route.indexOf("/"))) };
  });
  return { domains: own.map(({ name, alias, proven }) => ({ name, alias, proven: proven !== null })), routes };
}

function infoOf(parts: ControlParts, c: Context<Environment>, state: FunctionState, kept: KeptFor): FunctionInfo {
  const { tenant, functionName, version, noTemplateReason, isHeld, createdAtMs, updatedAtMs } = state;
  const { config, entry, bundleBytes, files, found } = version;
  const warm = kept.warm.get(state);
  // A tenant's secrets are in these values; names suffice to see what is set.
  const env = Object.fromEntries(envNamesOf(version).map((name) => [name, "***"]));
  return {
    name: functionName,
    tenant,
    ...urlsOf(parts, c, functionName, config),
    version: version.version,
    // A version that was deployed before there was a choice has none.
    config: { ...config, isolation: config.isolation ?? "instance", env },
    noTemplateReason,
    warm: warm === undefined ? null : { ...warm, next: null },
    reservedSlots:
      config.concurrency?.reserved === undefined ? null : (kept.slots.get(`${tenant}/${functionName}`) ?? 0),
    held: isHeld,
    domains: [],
    routes: [],
    entry,
    handler: found?.handler ?? null,
    warnings: warningsOf(version),
    bundleBytes,
    files: files.map(({ path, bytes }) => ({ path, bytes })),
    createdAt: new Date(createdAtMs).toISOString(),
    updatedAt: new Date(updatedAtMs).toISOString(),
  };
}
