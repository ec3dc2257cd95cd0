/** Notes each act of administration, also one that was refused, in the audit log. */
import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { noteAct } from "../../../functions/store/audit.ts";
import { publicError } from "../../http/error-reply.ts";
import type { ControlParts, Environment } from "../context.ts";
import { isOperator } from "../operator.ts";
import { type FoundRule, ruleOf } from "../route-table.ts";
import { RefusedActs } from "./refused-acts.ts";

/** Longest name that is noted: what was refused may be anything. */
const MAX_TARGET_LENGTH = 200;

type AuditParts = Pick<ControlParts, "redis" | "addressOf" | "onInternalError">;

/**
 * An act that cannot be noted is told to the gateway's own log: it was done all the same.
 * @param knows whether some route takes this method and path
 */
export function audit(parts: AuditParts, knows: (method: string, path: string) => boolean) {
  const refused = new RefusedActs();
  return createMiddleware<Environment>(async (c, next) => {
    await next();
    const rule = ruleOf(c.req.method, c.req.path);
    if (rule.action === undefined || !knows(c.req.method, c.req.path)) return;
    if (c.error !== undefined && !refused.take(c.var.principal.keyId)) return;
    await note(parts, c, rule).catch((error) => parts.onInternalError(error, c.var.requestId));
  });
}

async function note(parts: AuditParts, c: Context<Environment>, rule: FoundRule): Promise<void> {
  const { tenant: own, keyId } = c.var.principal;
  const operator = await isOperator(parts, c);
  const named = rule.params.tenant ?? c.req.query("tenant") ?? c.var.auditTarget?.tenant ?? own;
  const outcome = c.error === undefined ? "ok" : publicError(c.error).code;
  const tenant = operator ? named : own;
  const target = (c.var.auditTarget?.target ?? targetOf(c, rule)).slice(0, MAX_TARGET_LENGTH);
  const { action = "" } = rule;
  const act = { tenant, keyId, operator, action, target, address: parts.addressOf(c.env.incoming), outcome };
  if (operator) await noteAct(parts.redis, null, act);
  // A tenant that is gone, or never was, gets no log.
  const isThere = tenant === own || (outcome === "ok" && action !== "tenant.delete");
  if (isThere) await noteAct(parts.redis, tenant, act);
}

/** The last name of the path, behind the function that the query names. */
function targetOf(c: Context<Environment>, { params, hasQuery = false }: FoundRule): string {
  const named = Object.values(params);
  const functionName = hasQuery ? c.req.query("function") : undefined;
  return [...(functionName === undefined ? [] : [functionName]), ...named].join("/");
}
