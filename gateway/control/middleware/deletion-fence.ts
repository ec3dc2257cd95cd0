/**
 * Looks, after each change, whether its tenant was deleted meanwhile. The deletion marks the tenant
 * before it looks for what there is: so either it finds what the change wrote, or the change finds
 * the mark here, and removes what it wrote. Nothing of a deployment is left behind.
 */
import { createMiddleware } from "hono/factory";
import { errorBody, SandpiperError } from "../../../functions/model/errors.ts";
import { removeLeftovers } from "../../../functions/store/tenant-deletion.ts";
import { stopOf } from "../../../functions/store/tenant-states.ts";
import type { ControlParts, Environment } from "../context.ts";

/** Paths below which an operator changes what another tenant has. */
const OF_TENANT = /^\/v1\/egress\/([^/]+)/;
const READS = ["GET", "HEAD"];

/** Answers UNAUTHENTICATED, as to any later request, when the tenant is gone. */
export function deletionFence(parts: Pick<ControlParts, "redis" | "artifacts">) {
  return createMiddleware<Environment>(async (c, next) => {
    await next();
    if (READS.includes(c.req.method)) return;
    const named = OF_TENANT.exec(c.req.path)?.[1] ?? c.req.query("tenant");
    const own = c.var.principal.tenant;
    if (named !== undefined && named !== own) await removeIfGone(parts, named);
    if (!(await removeIfGone(parts, own)) || c.env.outgoing.headersSent) return;
    c.res = undefined;
    c.res = c.json(errorBody(new SandpiperError("UNAUTHENTICATED"), c.var.requestId), 401);
  });
}

/** @returns whether the tenant is gone */
async function removeIfGone(parts: Pick<ControlParts, "redis" | "artifacts">, tenant: string): Promise<boolean> {
  const stop = await stopOf(parts.redis, tenant);
  if (stop === null || stop.state === "suspended") return false;
  await removeLeftovers(parts, tenant);
  return true;
}
