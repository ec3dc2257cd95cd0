/** Asks for an API key, and says whose it is. */
import { createMiddleware } from "hono/factory";
import { SandpiperError } from "../../../functions/model/errors.ts";
import { authenticate } from "../../../functions/store/tenant.ts";
import type { ControlParts, Environment } from "../context.ts";

const BEARER = /^bearer +([^ ]+) *$/i;
const READS = ["GET", "HEAD"];

/**
 * @throws SandpiperError UNAUTHENTICATED in the handlers that follow it, unless the request carries
 * a valid key of a tenant that is there; TENANT_SUSPENDED for what is more than reading
 */
export function auth({ redis, stops, keyUses }: Pick<ControlParts, "redis" | "stops" | "keyUses">) {
  return createMiddleware<Environment>(async (c, next) => {
    const key = BEARER.exec(c.req.header("authorization") ?? "")?.[1];
    const principal = key === undefined ? null : await authenticate(redis, key);
    const state = principal === null ? undefined : stops.get(principal.tenant)?.state;
    if (!principal || state === "deleting" || state === "deleted") throw new SandpiperError("UNAUTHENTICATED");
    if (state === "suspended" && !READS.includes(c.req.method)) throw new SandpiperError("TENANT_SUSPENDED");
    keyUses.note(principal);
    c.set("principal", principal);
    await next();
  });
}
