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
import { isOperator } from "../operator.ts";
import { ruleOf } from "../route-table.ts";

const READS = ["GET", "HEAD"];

/** Answers UNAUTHENTICATED, as to any later request, when the tenant is gone. */
export function deletionFence(parts: Pick<ControlParts, "redis" | "artifacts">) {
  return createMiddleware<Environment>(async (c, next) => {
    await next();
    if (READS.includes(c.req.method)) return;
    const { params } = ruleOf(c.req.method, c.req.path);
    const named = params.tenant ?? c.req.query("tenant") ?? c.var.auditTarget?.tenant;
    const own = c.var.principal.tenant;
    // Others than the operator change nothing of another tenant, and cause no work by naming it.
    const isOther = named !== undefined && named !== own && (await isOperator(parts, c));
    if (isOther) await removeIfGone(parts, named);
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
