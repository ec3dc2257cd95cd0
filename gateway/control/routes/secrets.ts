/** Sets, lists and deletes secrets. The gateway seals values, and gives none back. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { errorSchema } from "../../../functions/api/schemas.ts";
import {
  newSecretParam,
  rewrapSchema,
  type SecretInfo,
  secretListSchema,
  secretParam,
  secretQuery,
  secretSchema,
  secretValueSchema,
} from "../../../functions/api/secrets.ts";
import { SandpiperError } from "../../../functions/model/errors.ts";
import { MAX_SECRET_REQUEST_BYTES, type SecretFacts } from "../../../functions/model/secrets.ts";
import { sealClearVersions } from "../../../functions/store/seal-versions.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";
import { bodyLimit } from "../middleware/body-limit.ts";
import { isOperator } from "../operator.ts";
import { Paced } from "../paced.ts";
import { checkSecretStorage } from "../room.ts";

const setRoute = keyedRoute({
  method: "put",
  path: "/v1/secrets/{secret}",
  summary: "Set a secret",
  description: "Functions that use it get it within seconds, without a deployment.",
  request: {
    params: newSecretParam,
    query: secretQuery,
    body: { required: true, ...jsonBody(secretValueSchema, "The value.") },
  },
  responses: {
    200: jsonBody(secretSchema, "It is kept."),
    400: jsonBody(errorSchema, "The name or the value cannot be one, or there are too many."),
  },
});

const listRoute = keyedRoute({
  method: "get",
  path: "/v1/secrets",
  summary: "List secrets",
  description: "Of the tenant and all of its functions, or of one function; without values.",
  request: { query: secretQuery },
  responses: { 200: jsonBody(secretListSchema, "The secrets.") },
});

const deleteRoute = keyedRoute({
  method: "delete",
  path: "/v1/secrets/{secret}",
  summary: "Delete a secret",
  request: { params: secretParam, query: secretQuery },
  responses: { 204: { description: "It is gone." }, 404: jsonBody(errorSchema, "There is none.") },
});

const rewrapRoute = keyedRoute({
  method: "post",
  path: "/v1/secrets/rewrap",
  summary: "Seal all data keys with the first master key",
  responses: { 200: jsonBody(rewrapSchema, "It is done: other master keys are needed no more.") },
});

/**
 * Adds the routes below /v1/secrets. Any tenant may ask for a rewrap: it changes no value. How many
 * tenants and keys there are is told to operators alone. A key for single functions sees their
 * secrets alone.
 */
export function secretRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  const { secrets, dataKeys, registry, redis, uploads } = parts;
  const paced = new Paced();
  app.on("PUT", "/v1/secrets/:secret", bodyLimit(MAX_SECRET_REQUEST_BYTES, uploads));

  app.openapi(setRoute, async (c) => {
    const scope = { tenant: c.var.principal.tenant, functionName: c.req.valid("query").function ?? null };
    const { secret } = c.req.valid("param");
    const { value } = c.req.valid("json");
    await checkSecretStorage(parts, scope, secret, value);
    return c.json(infoOf(await secrets.set(scope, secret, value)), 200);
  });

  app.openapi(listRoute, async (c) => {
    const { tenant } = c.var.principal;
    const { function: functionName } = c.req.valid("query");
    const facts = await (functionName === undefined ? secrets.listAll(tenant) : secrets.list({ tenant, functionName }));
    const { functions } = c.var.principal;
    const seen = facts.filter(({ functionName: owner }) => functions === null || functions.includes(owner ?? ""));
    return c.json({ secrets: seen.map(infoOf) }, 200);
  });

  app.openapi(deleteRoute, async (c) => {
    const scope = { tenant: c.var.principal.tenant, functionName: c.req.valid("query").function ?? null };
    const { secret } = c.req.valid("param");
    if (await secrets.delete(scope, secret)) return c.body(null, 204);
    const whose = scope.functionName === null ? "The tenant" : `The function ${scope.functionName}`;
    throw new SandpiperError("SECRET_NOT_FOUND", { message: `${whose} has no secret ${secret}.` });
  });

  app.openapi(rewrapRoute, async (c) => {
    const { masterKey, ...counts } = await paced.run(c.var.principal.tenant, async () => {
      const rewrapped = await dataKeys.rewrap();
      return { ...rewrapped, sealed: await sealClearVersions(redis, registry, secrets) };
    });
    return c.json((await isOperator(parts, c)) ? { masterKey, ...counts } : { masterKey }, 200);
  });
}

function infoOf({ name, functionName, version, updatedAtMs }: SecretFacts): SecretInfo {
  return { name, function: functionName, version, updatedAt: new Date(updatedAtMs).toISOString() };
}
