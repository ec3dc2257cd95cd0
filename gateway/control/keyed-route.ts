/** The parts that routes of the control API have in common; their shapes are in functions/api. */
import { createRoute, type RouteConfig, type z } from "@hono/zod-openapi";
import { errorSchema } from "../../functions/api/schemas.ts";

/** Answers that every route of the control API can give. */
const failures = {
  401: jsonBody(errorSchema, "No valid API key."),
  503: jsonBody(errorSchema, "Redis or the workers are not reachable."),
};

/** A route that needs an API key, with the failures that every one of them knows. */
export function keyedRoute<const R extends RouteConfig>(route: R) {
  return createRoute({ ...route, security: [{ apiKey: [] }], responses: { ...failures, ...route.responses } });
}

/** A JSON body for a route's `responses` or `request`. */
export function jsonBody<const S extends z.ZodType>(schema: S, description: string) {
  return { description, content: { "application/json": { schema } } };
}
