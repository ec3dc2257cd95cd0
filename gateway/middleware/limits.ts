/** Reads the body of a control request before anything else does, within a limit. */
import { createMiddleware } from "hono/factory";
import type { Budget } from "../budget.ts";
import type { Environment } from "../environment.ts";
import { readBody } from "../request-body.ts";

/** @throws SandpiperError BODY_TOO_LARGE, OVERLOADED */
export function bodyLimit(maxBytes: number, budget: Budget) {
  return createMiddleware<Environment>(async (c, next) => {
    const { incoming, outgoing } = c.env;
    const body = await readBody(incoming, outgoing, { maxBytes, budget });
    // Where @hono/node-server looks for a body that was read already.
    if (body) Object.assign(incoming, { rawBody: body });
    await next();
  });
}
