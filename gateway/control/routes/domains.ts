/** Domain names of tenants: claims them, proves them, and says which ones answer. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import {
  type DomainInfo,
  domainCheckQuery,
  domainListSchema,
  domainParam,
  domainProofSchema,
  domainSchema,
  domainsOfQuery,
  domainWishSchema,
} from "../../../functions/api/domains.ts";
import { errorSchema } from "../../../functions/api/schemas.ts";
import { isVersionDigits, SHORT_VERSION_LENGTH, splitPreviewName } from "../../../functions/model/alias.ts";
import type { DomainTarget } from "../../../functions/model/domain-target.ts";
import { proofName, readDomain } from "../../../functions/model/domains.ts";
import { SandpiperError } from "../../../functions/model/errors.ts";
import { sees } from "../../../functions/model/scopes.ts";
import { noAlias, readAliases } from "../../../functions/store/aliases.ts";
import {
  claimDomain,
  type Domain,
  findDomain,
  listDomains,
  proveDomain,
  removeDomain,
} from "../../../functions/store/domains/domains.ts";
import { KIB } from "../../../infra/std/bytes.ts";
import type { ControlParts, Environment } from "../context.ts";
import { checkRecord } from "../domain-proof.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";
import { bodyLimit } from "../middleware/body-limit.ts";
import { noFunction } from "../no-function.ts";
import { isOperator, tenantAsked } from "../operator.ts";

const none = jsonBody(errorSchema, "There is no such domain, function or alias, or none that the key may see.");
const taken = jsonBody(errorSchema, "The domain answers for somebody else, or is not proven, or there are too many.");
const invalid = jsonBody(errorSchema, "It is no name of a domain, or one that belongs to the platform.");

const listRoute = keyedRoute({
  method: "get",
  path: "/v1/domains",
  summary: "List domains",
  request: { query: domainsOfQuery },
  responses: { 200: jsonBody(domainListSchema, "Those of the tenant, by name."), 404: none },
});

const addRoute = keyedRoute({
  method: "put",
  path: "/v1/domains/{domain}",
  summary: "Have a function answer at a domain, once it is proven",
  description: "A domain that the tenant has already gets another function, and stays proven.",
  request: {
    params: domainParam,
    query: domainsOfQuery,
    body: { required: true, ...jsonBody(domainWishSchema, "The function.") },
  },
  responses: {
    200: jsonBody(domainSchema, "A domain that was there."),
    201: jsonBody(domainSchema, "A new one: make its record, then verify it."),
    ...{ 400: invalid, 404: none, 409: taken },
  },
});

const verifyRoute = keyedRoute({
  method: "post",
  path: "/v1/domains/{domain}/verify",
  summary: "Prove a domain by its DNS record, or by the operator's word",
  request: {
    params: domainParam,
    query: domainsOfQuery,
    body: { required: true, ...jsonBody(domainProofSchema, "By whose word.") },
  },
  responses: {
    200: jsonBody(domainSchema, "It is proven, and answers on every gateway within a second."),
    ...{ 400: invalid, 403: jsonBody(errorSchema, "The key is not the operator's."), 404: none, 409: taken },
  },
});

const removeRoute = keyedRoute({
  method: "delete",
  path: "/v1/domains/{domain}",
  summary: "Remove a domain",
  request: { params: domainParam, query: domainsOfQuery },
  responses: { 204: { description: "Nobody answers there any more." }, 400: invalid, 404: none },
});

const checkRoute = createRoute({
  method: "get",
  path: "/v1/domains/check",
  summary: "Whether something answers at a host name",
  description: "For proxies that get certificates when they are needed, such as Caddy. Needs no key.",
  request: { query: domainCheckQuery },
  responses: {
    200: { description: "It does: a certificate is worth getting." },
    404: jsonBody(errorSchema, "It does not."),
  },
});

/** Adds /v1/domains/check, which needs no key. */
export function domainCheckRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  app.openapi(checkRoute, async (c) => {
    const { domain } = c.req.valid("query");
    if (await isAnswered(parts, domain.toLowerCase().replace(/\.$/, ""))) return c.body(null, 200);
    throw new SandpiperError("DOMAIN_NOT_FOUND", { message: "Nothing answers at that name." });
  });
}

/** Adds the routes of /v1/domains that need a key. */
export function domainRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  const { redis, domains, uploads } = parts;
  app.on("PUT", "/v1/domains/:domain", bodyLimit(KIB, uploads));
  app.on("POST", "/v1/domains/:domain/verify", bodyLimit(KIB, uploads));

  app.openapi(listRoute, async (c) => {
    const tenant = await tenantAsked(parts, c, c.req.valid("query").tenant);
    const found = await listDomains(redis, tenant);
    const seen = found.filter(({ functionName }) => sees(c.var.principal, functionName));
    return c.json({ domains: await Promise.all(seen.map((one) => infoOf(parts, c, tenant, one))) }, 200);
  });

  app.openapi(addRoute, async (c) => {
    const tenant = await tenantAsked(parts, c, c.req.valid("query").tenant);
    const name = nameOf(parts, c, c.req.valid("param").domain);
    const { function: functionName, alias = null } = c.req.valid("json");
    if (!sees(c.var.principal, functionName)) throw noFunction(functionName);
    const problem = await problemOf(parts, tenant, { functionName, alias });
    if (problem !== null) throw problem;
    const { functions: seen } = c.var.principal;
    const terms = { seen, max: domains.max };
    const isNew = await claimDomain(redis, tenant, name, { functionName, alias }, terms);
    await domains.proven.refresh(name);
    return c.json(await infoOf(parts, c, tenant, await findDomain(redis, tenant, name, seen)), isNew ? 201 : 200);
  });

  app.openapi(verifyRoute, async (c) => {
    const tenant = await tenantAsked(parts, c, c.req.valid("query").tenant);
    const name = nameOf(parts, c, c.req.valid("param").domain);
    const { verified, take } = c.req.valid("json");
    if (verified && !(await isOperator(parts, c))) throw new SandpiperError("NOT_OPERATOR");
    const { functions: seen } = c.var.principal;
    const found = await findDomain(redis, tenant, name, seen);
    if (found.proven === null) {
      // One look-up of a tenant at a time: whoever asks decides how long the DNS takes.
      if (!verified) await domains.turns.take(tenant, () => checkRecord(found, domains.resolver));
      await proveDomain(redis, tenant, found, { by: verified ? "operator" : "dns", take });
      await domains.proven.refresh(name);
    }
    return c.json(await infoOf(parts, c, tenant, await findDomain(redis, tenant, name, seen)), 200);
  });

  app.openapi(removeRoute, async (c) => {
    const tenant = await tenantAsked(parts, c, c.req.valid("query").tenant);
    const name = nameOf(parts, c, c.req.valid("param").domain);
    await removeDomain(redis, tenant, name, c.var.principal.functions);
    await domains.proven.refresh(name);
    return c.body(null, 204);
  });
}

/** @throws SandpiperError INVALID_DOMAIN */
function nameOf({ hosts }: ControlParts, c: Context<Environment>, text: string): string {
  const read = readDomain(text);
  if ("problem" in read) throw invalidDomain(text, read.problem);
  c.set("auditTarget", { target: read.name });
  if (hosts.isOwn(read.name)) throw invalidDomain(read.name, "a name of yours: this one belongs to the platform");
  return read.name;
}

function invalidDomain(text: string, problem: string): SandpiperError {
  const message = `${JSON.stringify(text.slice(0, 260))} is no domain that can be added: ${problem}.`;
  return new SandpiperError("INVALID_DOMAIN", { message });
}

/** Why nobody answers for a target, or null. */
async function problemOf(
  { redis }: ControlParts,
  tenant: string,
  { functionName, alias }: DomainTarget,
): Promise<SandpiperError | null> {
  const aliases = await readAliases(redis, { tenant, functionName });
  if (aliases === null) return noFunction(functionName);
  return alias === null || aliases.some((one) => one.alias === alias) ? null : noAlias(functionName, alias);
}

async function infoOf(parts: ControlParts, c: Context<Environment>, tenant: string, domain: Domain) {
  const { name, functionName, alias, token, createdAtMs, proven } = domain;
  const { protocol, port } = new URL(parts.origins.baseUrl(c.env.incoming));
  const problem = await problemOf(parts, tenant, domain);
  return {
    name,
    function: functionName,
    alias,
    url: `${protocol}//${name}${port && `:${port}`}`,
    createdAt: new Date(createdAtMs).toISOString(),
    proven: proven && { at: new Date(proven.atMs).toISOString(), by: proven.by },
    record: { name: proofName(name), type: "TXT" as const, value: token },
    problem: problem?.message ?? null,
  } satisfies DomainInfo;
}

/** Whether a function answers at a name, or it is that of the gateway's own URL. */
async function isAnswered({ hosts, versions }: ControlParts, name: string): Promise<boolean> {
  const host = name.includes(":") ? null : hosts.find(name);
  if (host?.kind === "domain") return true;
  if (host?.kind !== "function") return hosts.isPublic(name);
  // Of the many ways to write a version one counts: each name costs a certificate.
  const called = splitPreviewName(host.functionName)?.name ?? "";
  if (isVersionDigits(called) && called.length !== SHORT_VERSION_LENGTH) return false;
  return (await versions.get(host)) !== null;
}
