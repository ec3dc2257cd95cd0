/** Reads the body of a control request before anything else does, within a limit. */
import { createMiddleware } from "hono/factory";
import type { Budget } from "../../http/budget.ts";
import { readBody } from "../../http/request-body.ts";
import type { Environment } from "../context.ts";
import { checkJsonShape } from "../json-shape.ts";

/** Far more than a deployment of as many files as are allowed needs. */
const JSON_LIMITS = { maxDepth: 16, maxValues: 50_000, maxMarkupBytes: 2_000_000 };

/**
 * @throws SandpiperError BODY_TOO_LARGE, OVERLOADED, INVALID_REQUEST for JSON that would keep the
 * gateway busy
 */
export function bodyLimit(maxBytes: number, budget: Budget) {
  return createMiddleware<Environment>(async (c, next) => {
    const { incoming, outgoing } = c.env;
    const body = await readBody(incoming, outgoing, { maxBytes, budget });
    if (body) checkJsonShape(body, JSON_LIMITS);
    // Where @hono/node-server looks for a body that was read already.
    if (body) Object.assign(incoming, { rawBody: body });
    await next();
  });
}
