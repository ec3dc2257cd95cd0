/** Holds on functions' names: a function that is there for as long as somebody says so. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { errorSchema, holdSchema, holdWishSchema, nameParam } from "../../../functions/api/schemas.ts";
import { takeHold } from "../../../functions/store/holds.ts";
import { KIB } from "../../../infra/std/bytes.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";
import { bodyLimit } from "../middleware/body-limit.ts";

const MAX_WISH_BYTES = KIB;

const holdRoute = keyedRoute({
  method: "put",
  path: "/v1/functions/{name}/hold",
  summary: "Hold a function's name",
  description:
    "The name is the holder's until the time is over, or the holder deletes the function. Asked again, the time begins anew.",
  request: { params: nameParam, body: { required: true, ...jsonBody(holdWishSchema, "Who, and for how long.") } },
  responses: {
    200: jsonBody(holdSchema, "The name is held."),
    409: jsonBody(errorSchema, "There is a function of that name that is not the holder's."),
  },
});

/** Adds /v1/functions/{name}/hold. */
export function holdRoutes(app: OpenAPIHono<Environment>, { redis, uploads }: ControlParts): void {
  app.on("PUT", "/v1/functions/:name/hold", bodyLimit(MAX_WISH_BYTES, uploads));
  app.openapi(holdRoute, async (c) => {
    const { name } = c.req.valid("param");
    const { holder, ttlMs } = c.req.valid("json");
    const deployed = await takeHold(redis, { tenant: c.var.principal.tenant, functionName: name }, holder, ttlMs);
    return c.json({ name, deployed }, 200);
  });
}
