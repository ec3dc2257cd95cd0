/** Asks for an API key, and says whose it is. */
import { createMiddleware } from "hono/factory";
import type { Redis } from "ioredis";
import { SandpiperError } from "../../../functions/model/errors.ts";
import { authenticate } from "../../../functions/store/tenant.ts";
import type { Environment } from "../context.ts";

const BEARER = /^bearer +([^ ]+) *$/i;

/**
 * @throws SandpiperError UNAUTHENTICATED in the handlers that follow it, unless the request carries
 * a valid key.
 */
export function auth(redis: Redis) {
  return createMiddleware<Environment>(async (c, next) => {
    const key = BEARER.exec(c.req.header("authorization") ?? "")?.[1];
    const principal = key === undefined ? null : await authenticate(redis, key);
    if (!principal) throw new SandpiperError("UNAUTHENTICATED");
    c.set("principal", principal);
    await next();
  });
}
