/** Signs URLs of functions. The signing key never leaves the gateways. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { errorSchema, nameParam } from "../../../functions/api/schemas.ts";
import {
  signedUrlSchema,
  signedUrlWishSchema,
  signingKeyRotationSchema,
  signingKeySchema,
} from "../../../functions/api/signed-urls.ts";
import { baseOf, previewName, splitPreviewName } from "../../../functions/model/alias.ts";
import { SandpiperError } from "../../../functions/model/errors.ts";
import type { FunctionConfig } from "../../../functions/model/manifest.ts";
import { noAlias } from "../../../functions/store/aliases.ts";
import type { FunctionRef } from "../../../functions/store/function-keys.ts";
import { signPath } from "../../../functions/store/signed-paths.ts";
import { KIB } from "../../../infra/std/bytes.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";
import { bodyLimit } from "../middleware/body-limit.ts";
import { noFunction } from "../no-function.ts";
import { urlsOf } from "../urls.ts";

const MAX_BYTES = 32 * KIB;
const notFound = jsonBody(errorSchema, "There is no such function or alias.");

const signRoute = keyedRoute({
  method: "post",
  path: "/v1/functions/{name}/signed-urls",
  summary: "Sign a URL of a function",
  description: "For functions whose `access` is `signed`. A key that may call may sign.",
  request: {
    params: nameParam,
    body: { required: true, ...jsonBody(signedUrlWishSchema, "What the URL is for, and for how long.") },
  },
  responses: {
    201: jsonBody(signedUrlSchema, "The URL."),
    400: jsonBody(errorSchema, "It cannot be signed, or the function takes no signed URLs."),
    404: notFound,
  },
});

const rotateRoute = keyedRoute({
  method: "post",
  path: "/v1/functions/{name}/signing-key/rotate",
  summary: "Replace the key that signs a function's URLs",
  request: {
    params: nameParam,
    body: { required: true, ...jsonBody(signingKeyRotationSchema, "When the keys before it end.") },
  },
  responses: {
    201: jsonBody(signingKeySchema, "The new key signs from now on."),
    400: jsonBody(errorSchema, "There are too many keys before it that still count."),
    404: notFound,
  },
});

/** Adds the routes by which URLs are signed. */
export function signedUrlRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  const { signingKeys, uploads } = parts;
  const paths = ["/v1/functions/:name/signed-urls", "/v1/functions/:name/signing-key/rotate"];
  app.on("POST", paths, bodyLimit(MAX_BYTES, uploads));

  app.openapi(signRoute, async (c) => {
    const ref = refOf(c, c.req.valid("param").name);
    const { path, method, lifetimeMs, alias } = c.req.valid("json");
    const { access, keepPrefix = false } = await configOf(parts, ref, alias);
    if (access !== "signed") {
      const message = `The access of ${ref.functionName} is not "signed": its URLs take no signature.`;
      throw new SandpiperError("INVALID_REQUEST", { message });
    }
    const calledName = alias === undefined ? ref.functionName : previewName(alias, ref.functionName);
    const request = { tenant: ref.tenant, calledName, method, path };
    const signed = await signPath(signingKeys, ref, request, lifetimeMs);
    const { url, sharedUrl } = urlsOf(parts, c, calledName, { keepPrefix });
    const urls = { url: url + signed.path, sharedUrl: sharedUrl + signed.path };
    return c.json({ ...urls, method, keyId: signed.keyId, expiresAt: isoOf(signed.expiresAtMs) }, 201);
  });

  app.openapi(rotateRoute, async (c) => {
    const ref = refOf(c, c.req.valid("param").name);
    const { id, oldEndAtMs } = await signingKeys.rotate(ref, c.req.valid("json").overlapMs);
    return c.json({ keyId: id, oldEndAt: oldEndAtMs === null ? null : isoOf(oldEndAtMs) }, 201);
  });
}

function refOf(c: Context<Environment>, functionName: string): FunctionRef {
  return { tenant: c.var.principal.tenant, functionName };
}

/**
 * The configuration of the version that calls of a function or of its alias get, or the larger part
 * of them.
 * @throws SandpiperError FUNCTION_NOT_FOUND, ALIAS_NOT_FOUND
 */
async function configOf(
  { registry }: ControlParts,
  ref: FunctionRef,
  name: string | undefined,
): Promise<FunctionConfig> {
  const state = await registry.getFunction(ref);
  if (state === null) throw noFunction(ref.functionName);
  if (name === undefined) return state.version.config;
  const preview = splitPreviewName(previewName(name, ref.functionName));
  if (preview?.name !== name) throw noAlias(ref.functionName, name);
  const alias = state.aliases.find((one) => one.alias === name);
  const version = await (alias === undefined
    ? registry.versionBeginningWith(ref, name)
    : registry.getVersion({ ...ref, version: baseOf(alias) }));
  if (version === null) throw noAlias(ref.functionName, name);
  return version.config;
}

function isoOf(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
