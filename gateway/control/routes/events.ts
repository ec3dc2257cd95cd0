/** Sends events to functions. */
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import { errorSchema, nameParam, thrownSchema } from "../../../functions/api/schemas.ts";
import { SandpiperError } from "../../../functions/model/errors.ts";
import { NAME_PATTERN } from "../../../functions/model/manifest.ts";
import type { ControlParts, Environment } from "../context.ts";
import { jsonBody, keyedRoute } from "../keyed-route.ts";

const eventRoute = keyedRoute({
  method: "post",
  path: "/v1/functions/{name}/events",
  summary: "Send an event to a function",
  request: { params: nameParam, body: { required: true, ...jsonBody(z.unknown(), "The event, any JSON.") } },
  responses: {
    200: jsonBody(z.unknown(), "What the function returned; null for nothing."),
    400: jsonBody(errorSchema, "The event is no JSON, or the function takes no events."),
    404: jsonBody(errorSchema, "There is no such function."),
    413: jsonBody(errorSchema, "The event is too large."),
    502: jsonBody(thrownSchema, "The function failed; what it threw is beside the error."),
  },
});

/** Adds the route by which a function gets an event. The body goes to the function as it came. */
export function eventRoutes(app: OpenAPIHono<Environment>, parts: ControlParts): void {
  app.openAPIRegistry.registerPath(eventRoute);
  app.post("/v1/functions/:name/events", async (c) => {
    const functionName = c.req.param("name");
    if (!NAME_PATTERN.test(functionName)) throw new SandpiperError("INVALID_NAME");
    const { incoming, outgoing } = c.env;
    const isOver = untilOver(outgoing);
    await parts.sendEvent(incoming as never, outgoing as never, { tenant: c.var.principal.tenant, functionName });
    await isOver;
    return RESPONSE_ALREADY_SENT;
  });
}

/** Resolves when nothing more is said to a client, who may be gone already. */
function untilOver(response: { destroyed: boolean; once(event: "close", listener: () => void): unknown }) {
  return new Promise<void>((resolve) => {
    if (response.destroyed) resolve();
    else response.once("close", resolve);
  });
}
