/** Acts of the operator's key alone, and what others are told who ask for them. */
import type { Context } from "hono";
import { SandpiperError } from "../../functions/model/errors.ts";
import { isOperatorKey } from "../../functions/store/tenant.ts";
import { findTenant, noTenant } from "../../functions/store/tenant-states.ts";
import type { ControlParts, Environment } from "./context.ts";

/** Whether the request has the operator's key. */
export function isOperator({ redis }: Pick<ControlParts, "redis">, c: Context<Environment>): Promise<boolean> {
  return isOperatorKey(redis, c.var.principal.keyId);
}

/**
 * Lets the operator pass. Of other tenants than its own a key is told what it would be told of one
 * that does not exist.
 * @param tenant whom the request is about, when it is about one
 * @throws SandpiperError NOT_OPERATOR, TENANT_NOT_FOUND
 */
export async function checkOperator(
  parts: Pick<ControlParts, "redis">,
  c: Context<Environment>,
  tenant = c.var.principal.tenant,
): Promise<void> {
  if (await isOperator(parts, c)) return;
  throw tenant === c.var.principal.tenant ? new SandpiperError("NOT_OPERATOR") : noTenant(tenant);
}

/**
 * Lets the operator pass to a tenant that there is.
 * @throws SandpiperError NOT_OPERATOR, TENANT_NOT_FOUND
 */
export async function checkOperatorOf(
  parts: Pick<ControlParts, "redis">,
  c: Context<Environment>,
  tenant: string,
): Promise<void> {
  await checkOperator(parts, c, tenant);
  const found = await findTenant(parts.redis, tenant);
  if (found === null || found.state === "deleting") throw noTenant(tenant);
}

/**
 * The tenant that a request is about: the key's own, or another that the operator names.
 * @throws SandpiperError TENANT_NOT_FOUND
 */
export async function tenantAsked(
  parts: Pick<ControlParts, "redis">,
  c: Context<Environment>,
  named: string | undefined,
): Promise<string> {
  const own = c.var.principal.tenant;
  if (named === undefined || named === own) return own;
  await checkOperatorOf(parts, c, named);
  return named;
}
