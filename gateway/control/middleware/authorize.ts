/**
 * Lets a key do what its scopes cover, with the functions that it may see. What it may not see is
 * told first, so that no refusal tells whether something exists.
 */
import { createMiddleware } from "hono/factory";
import { SandpiperError } from "../../../functions/model/errors.ts";
import { covers, sees } from "../../../functions/model/scopes.ts";
import type { Principal } from "../../../functions/store/tenant.ts";
import type { Environment } from "../context.ts";
import { noFunction } from "../no-function.ts";
import { type FoundRule, ruleOf } from "../route-table.ts";

/**
 * @param knows whether some route takes this method and path
 * @throws SandpiperError FUNCTION_NOT_FOUND, FORBIDDEN
 */
export function authorize(knows: (method: string, path: string) => boolean) {
  return createMiddleware<Environment>(async (c, next) => {
    const { method, path } = c.req;
    // HEAD is answered by the routes of GET.
    const asked = method === "HEAD" ? "GET" : method;
    if (knows(asked, path)) check(c.var.principal, ruleOf(asked, path), c.req.query("function"), asked);
    await next();
  });
}

function check(principal: Principal, rule: FoundRule, query: string | undefined, method: string): void {
  const { scope, isWhole = false, hasQuery = false, params } = rule;
  const functionName = params.name ?? (hasQuery ? query : undefined);
  if (functionName !== undefined && !sees(principal, functionName)) throw noFunction(functionName);
  if (scope !== null && !covers(principal.scopes, scope)) {
    const has = principal.scopes.join(", ");
    throw new SandpiperError("FORBIDDEN", {
      message: `This takes a key with the scope ${scope}; this one has ${has}.`,
    });
  }
  const concernsAll = isWhole || (hasQuery && functionName === undefined && method !== "GET");
  if (principal.functions === null || !concernsAll) return;
  const message = `This concerns all of the tenant, and the key is for single functions: ${principal.functions.join(", ")}.`;
  throw new SandpiperError("FORBIDDEN", { message });
}
