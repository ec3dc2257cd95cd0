/** Collects what nobody needs any more, as gateways do by themselves once in a while. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { type CollectionInfo, collectionQuery, collectionSchema, errorSchema } from "../../../functions/api/schemas.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";
import { isOperator } from "../operator.ts";
import { Paced } from "../paced.ts";

const gcRoute = keyedRoute({
  method: "post",
  path: "/v1/gc",
  summary: "Collect old versions and files",
  request: { query: collectionQuery },
  responses: {
    200: jsonBody(collectionSchema, "It is done, or would be."),
    409: jsonBody(errorSchema, "Somebody collects already, or the artefact store is used by another Redis too."),
  },
});

/**
 * Adds /v1/gc. Any tenant may ask: what goes is only what goes by itself before long. A tenant sees
 * its own versions. Files are everybody's, and their numbers would tell what others have.
 */
export function gcRoutes(app: OpenAPIHono<Environment>, { collector, redis }: ControlParts): void {
  const paced = new Paced();
  app.openapi(gcRoute, async (c) => {
    const dryRun = c.req.valid("query").dryRun === "1";
    const { versions, setAside, waiting, removed } = await paced.run(c.var.principal.tenant, () =>
      collector.collect({ dryRun }),
    );
    const own = versions.filter(({ tenant }) => tenant === c.var.principal.tenant);
    const info: CollectionInfo["versions"] = own.map(({ functionName, version, unusedSinceMs }) => ({
      name: functionName,
      version,
      unusedSince: new Date(unusedSinceMs).toISOString(),
    }));
    const files = (await isOperator({ redis }, c)) ? { setAside, waiting, removed } : {};
    return c.json({ dryRun, versions: info, ...files }, 200);
  });
}
