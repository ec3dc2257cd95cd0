/** Versions and aliases of functions: lists them, and moves aliases. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Redis } from "ioredis";
import { errorSchema, nameParam } from "../../../functions/api/schemas.ts";
import {
  type AliasInfo,
  aliasListSchema,
  aliasParam,
  aliasSchema,
  aliasWishSchema,
  historySchema,
  preconditionHeaders,
  promotionSchema,
  rollbackSchema,
  type VersionInfo,
  versionListSchema,
} from "../../../functions/api/versions.ts";
import { type Alias, type AliasTarget, LIVE, routesProblem, shortVersion } from "../../../functions/model/alias.ts";
import { SandpiperError } from "../../../functions/model/errors.ts";
import { type Move, moveAlias, noAlias, readAliases, readHistory } from "../../../functions/store/aliases.ts";
import type { FunctionRef } from "../../../functions/store/function-keys.ts";
import { findVersion, type ListedVersion, listVersions } from "../../../functions/store/versions.ts";
import { KIB } from "../../../infra/std/bytes.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";
import { bodyLimit } from "../middleware/body-limit.ts";
import { moveTo, promotionTarget, rollbackTarget } from "../moves.ts";
import { etagOf, expectedOf } from "../precondition.ts";
import { previewUrl } from "../urls.ts";
import { noFunction } from "./functions.ts";

const MAX_BYTES = 8 * KIB;

const notFound = jsonBody(errorSchema, "There is no such function, alias or version.");
const moved = {
  200: jsonBody(aliasSchema, "The alias as it is now. Every gateway sends calls there within a second."),
  400: jsonBody(errorSchema, "The alias cannot be that."),
  404: notFound,
  409: jsonBody(errorSchema, "It is not clear which version is meant, or there are too many aliases."),
  412: jsonBody(errorSchema, "The alias is not what `if-match` or `if-none-match` says: nothing was moved."),
};

const versionsRoute = keyedRoute({
  method: "get",
  path: "/v1/functions/{name}/versions",
  summary: "List the versions of a function, the latest first",
  request: { params: nameParam },
  responses: { 200: jsonBody(versionListSchema, "Those that are kept."), 404: notFound },
});

const historyRoute = keyedRoute({
  method: "get",
  path: "/v1/functions/{name}/history",
  summary: "Show who moved which alias of a function, when and why",
  request: { params: nameParam },
  responses: { 200: jsonBody(historySchema, "The last 200 moves, the latest first."), 404: notFound },
});

const aliasesRoute = keyedRoute({
  method: "get",
  path: "/v1/functions/{name}/aliases",
  summary: "List the aliases of a function",
  request: { params: nameParam },
  responses: { 200: jsonBody(aliasListSchema, "All of them, `live` first."), 404: notFound },
});

const aliasRoute = keyedRoute({
  method: "get",
  path: "/v1/functions/{name}/aliases/{alias}",
  summary: "Show an alias",
  request: { params: aliasParam },
  responses: { 200: jsonBody(aliasSchema, "The alias; its etag is in the header field, too."), 404: notFound },
});

const setRoute = keyedRoute({
  method: "put",
  path: "/v1/functions/{name}/aliases/{alias}",
  summary: "Move an alias, or make one",
  request: {
    params: aliasParam,
    headers: preconditionHeaders,
    body: { required: true, ...jsonBody(aliasWishSchema, "One version, or two with their shares.") },
  },
  responses: moved,
});

const deleteRoute = keyedRoute({
  method: "delete",
  path: "/v1/functions/{name}/aliases/{alias}",
  summary: "Delete an alias",
  request: { params: aliasParam, headers: preconditionHeaders },
  responses: { 204: { description: "It is gone." }, 400: moved[400], 404: notFound, 412: moved[412] },
});

const rollbackRoute = keyedRoute({
  method: "post",
  path: "/v1/functions/{name}/rollback",
  summary: "Have an earlier version be live again",
  request: {
    params: nameParam,
    headers: preconditionHeaders,
    body: { required: true, ...jsonBody(rollbackSchema, "Which version, and why.") },
  },
  responses: moved,
});

const promoteRoute = keyedRoute({
  method: "post",
  path: "/v1/functions/{name}/promote",
  summary: "Have the version of an alias, or the canary, be live for all calls",
  request: {
    params: nameParam,
    headers: preconditionHeaders,
    body: { required: true, ...jsonBody(promotionSchema, "Which version, and why.") },
  },
  responses: moved,
});

/** Adds the routes of a function's versions, aliases and history. */
export function versionRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  const { redis } = parts;
  app.openapi(versionsRoute, async (c) => {
    const { name } = c.req.valid("param");
    const found = await listVersions(redis, refOf(c, name));
    if (found === null) throw noFunction(name);
    const versions = found.versions.map((listed) => versionInfo(parts, c, listed, found.aliases));
    return c.json({ versions }, 200);
  });
  app.openapi(historyRoute, async (c) => {
    const { name } = c.req.valid("param");
    await aliasesOf(parts, c, name);
    const entries = await readHistory(redis, refOf(c, name));
    return c.json({ entries: entries.map(({ atMs, ...entry }) => ({ at: iso(atMs), ...entry })) }, 200);
  });
  aliasRoutes(app, parts);
  liveRoutes(app, parts);
}

/** Routes below a function's aliases. */
function aliasRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  const { redis, uploads } = parts;
  app.openapi(aliasesRoute, async (c) => {
    const { name } = c.req.valid("param");
    const aliases = await aliasesOf(parts, c, name);
    return c.json({ aliases: aliases.map((alias) => aliasInfo(parts, c, name, alias)) }, 200);
  });

  app.openapi(aliasRoute, async (c) => {
    const { name, alias } = c.req.valid("param");
    const found = (await aliasesOf(parts, c, name)).find((one) => one.alias === alias);
    if (found === undefined) throw noAlias(name, alias);
    return c.json(aliasInfo(parts, c, name, found), 200, { etag: etagOf(found.revision) });
  });

  app.on("PUT", "/v1/functions/:name/aliases/:alias", bodyLimit(MAX_BYTES, uploads));
  app.openapi(setRoute, async (c) => {
    const { name, alias } = c.req.valid("param");
    const { message = null, ...wish } = c.req.valid("json");
    await aliasesOf(parts, c, name);
    const target = await targetOf(redis, refOf(c, name), wish);
    const expected = expectedOf(c.req.valid("header"));
    const move = { alias, kind: "set", by: c.var.principal.keyId, message, expected } as const;
    const moved = await moveTo(parts, refOf(c, name), move, target);
    const info = aliasInfo(parts, c, name, { alias, ...target, revision: moved.revision });
    return c.json(info, 200, { etag: info.etag });
  });

  app.openapi(deleteRoute, async (c) => {
    const { name, alias } = c.req.valid("param");
    if (alias === LIVE) {
      throw new SandpiperError("INVALID_ALIAS", { message: "`live` is what the URL calls: delete the function." });
    }
    const ref = refOf(c, name);
    const expected = expectedOf(c.req.valid("header"));
    await moveAlias(redis, ref, { alias, target: null, kind: "delete", by: c.var.principal.keyId, expected });
    parts.versions.forget(`${ref.tenant}/${name}`);
    return c.body(null, 204);
  });
}

/** Routes that move `live` to a version that is there. */
function liveRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  for (const act of ["rollback", "promote"]) {
    app.on("POST", `/v1/functions/:name/${act}`, bodyLimit(MAX_BYTES, parts.uploads));
  }
  const moveLive = async (
    c: Context<Environment>,
    name: string,
    move: Pick<Move, "kind" | "message" | "expected">,
    aim: (aliases: readonly Alias[]) => Promise<AliasTarget>,
  ) => {
    const by = c.var.principal.keyId;
    const { target, revision } = await moveTo(parts, refOf(c, name), { alias: LIVE, by, ...move }, aim);
    return aliasInfo(parts, c, name, { alias: LIVE, ...target, revision });
  };
  app.openapi(rollbackRoute, async (c) => {
    const { name } = c.req.valid("param");
    const { version, message } = c.req.valid("json");
    const move = { kind: "rollback", message, expected: expectedOf(c.req.valid("header")) } as const;
    const aim = (aliases: readonly Alias[]) => rollbackTarget(parts, refOf(c, name), aliases, version);
    const info = await moveLive(c, name, move, aim);
    return c.json(info, 200, { etag: info.etag });
  });
  app.openapi(promoteRoute, async (c) => {
    const { name } = c.req.valid("param");
    const { from, message } = c.req.valid("json");
    const move = { kind: "promote", message, expected: expectedOf(c.req.valid("header")) } as const;
    const aim = (aliases: readonly Alias[]) => promotionTarget(parts, refOf(c, name), aliases, from);
    const info = await moveLive(c, name, move, aim);
    return c.json(info, 200, { etag: info.etag });
  });
}

function refOf(c: Context<Environment>, functionName: string): FunctionRef {
  return { tenant: c.var.principal.tenant, functionName };
}

/** A function's aliases. @throws SandpiperError FUNCTION_NOT_FOUND */
async function aliasesOf({ redis }: ControlParts, c: Context<Environment>, name: string): Promise<Alias[]> {
  const aliases = await readAliases(redis, refOf(c, name));
  if (aliases === null) throw noFunction(name);
  return aliases;
}

/**
 * The target that a wish means. @throws SandpiperError VERSION_NOT_FOUND, VERSION_AMBIGUOUS,
 * INVALID_ALIAS
 */
async function targetOf(redis: Redis, ref: FunctionRef, { routes, sticky, auto }: AliasTarget): Promise<AliasTarget> {
  const digests = await Promise.all(routes.map(({ version }) => findVersion(redis, ref, version)));
  const named = routes.map(({ percent }, index) => ({ version: digests[index] ?? "", percent }));
  // Two names may mean one version.
  const problem = routesProblem(named);
  if (problem !== null) throw new SandpiperError("INVALID_ALIAS", { message: `Routes: ${problem}.` });
  return { routes: named, sticky, auto };
}

function aliasInfo(parts: ControlParts, c: Context<Environment>, name: string, given: Alias): AliasInfo {
  const { alias, routes, sticky, auto, revision } = given;
  return { alias, routes, sticky, auto, etag: etagOf(revision), url: previewUrl(parts, c, name, alias) };
}

function versionInfo(
  parts: ControlParts,
  c: Context<Environment>,
  { version: { version, functionName, config, createdAtMs, bundleBytes }, note, unusedSinceMs }: ListedVersion,
  aliases: readonly Alias[],
): VersionInfo {
  return {
    version,
    createdAt: iso(createdAtMs),
    deployedAt: note && iso(note.deployedAtMs),
    by: note?.by ?? null,
    message: note?.message ?? null,
    tag: note?.tag ?? null,
    aliases: aliases.flatMap(({ alias, routes }) =>
      routes.filter((route) => route.version === version).map(({ percent }) => ({ alias, percent })),
    ),
    unusedSince: unusedSinceMs === null ? null : iso(unusedSinceMs),
    bundleBytes,
    url: previewUrl(parts, c, functionName, shortVersion(version), config),
  };
}

function iso(atMs: number): string {
  return new Date(atMs).toISOString();
}
