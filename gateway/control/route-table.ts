/**
 * The needs of each route of the control API: the scope that a key needs, and what the audit log
 * calls the act. A test sees that each route has a row. A route without one, as a mistake could
 * leave it, is for keys with all scopes.
 */
import type { Scope } from "../../functions/model/scopes.ts";

export interface RouteRule {
  /** null: any key. */
  scope: Scope | null;
  /** Whether it concerns all of the tenant, and so is nothing for keys of single functions. */
  isWhole?: boolean;
  /**
   * Whether the query may name a function with `function`; without one a change concerns all of the
   * tenant.
   */
  hasQuery?: boolean;
  /** The act's name in the audit log; without one it is no act of administration. */
  action?: string;
}

/** By method and path, as the routes have them. The `name` of a function is checked. */
export const ROUTES: Readonly<Record<string, RouteRule>> = {
  "GET /v1/whoami": { scope: null },
  "GET /v1/functions": { scope: "read" },
  "GET /v1/functions/{name}": { scope: "read" },
  "PUT /v1/functions/{name}": { scope: "deploy", action: "function.deploy" },
  "DELETE /v1/functions/{name}": { scope: "deploy", action: "function.delete" },
  "PUT /v1/functions/{name}/hold": { scope: "deploy" },
  "POST /v1/functions/{name}/events": { scope: "invoke" },
  "POST /v1/functions/{name}/signed-urls": { scope: "invoke" },
  "POST /v1/functions/{name}/signing-key/rotate": { scope: "deploy", action: "signing-key.rotate" },
  "GET /v1/functions/{name}/logs": { scope: "read" },
  "GET /v1/functions/{name}/versions": { scope: "read" },
  "GET /v1/functions/{name}/history": { scope: "read" },
  "GET /v1/functions/{name}/aliases": { scope: "read" },
  "GET /v1/functions/{name}/aliases/{alias}": { scope: "read" },
  "PUT /v1/functions/{name}/aliases/{alias}": { scope: "deploy", action: "alias.set" },
  "DELETE /v1/functions/{name}/aliases/{alias}": { scope: "deploy", action: "alias.delete" },
  "POST /v1/functions/{name}/rollback": { scope: "deploy", action: "function.rollback" },
  "POST /v1/functions/{name}/promote": { scope: "deploy", action: "function.promote" },
  "POST /v1/sources/missing": { scope: "deploy" },
  "POST /v1/sources": { scope: "deploy" },
  "GET /v1/secrets": { scope: "secrets", hasQuery: true },
  "PUT /v1/secrets/{secret}": { scope: "secrets", hasQuery: true, action: "secret.set" },
  "DELETE /v1/secrets/{secret}": { scope: "secrets", hasQuery: true, action: "secret.delete" },
  "POST /v1/secrets/rewrap": { scope: "secrets", isWhole: true, action: "secret.rewrap" },
  "GET /v1/invocations/{id}": { scope: "read" },
  "GET /v1/traces/{traceId}": { scope: "read" },
  "POST /v1/gc": { scope: "deploy", isWhole: true, action: "gc" },
  "POST /v1/backup": { scope: "admin", isWhole: true, action: "backup" },
  "PUT /v1/restores/{restore}": { scope: "admin", isWhole: true },
  "POST /v1/restores/{restore}": { scope: "admin", isWhole: true, action: "restore" },
  "DELETE /v1/restores/{restore}": { scope: "admin", isWhole: true },
  "GET /v1/egress": { scope: "read", isWhole: true },
  "POST /v1/egress/{tenant}": { scope: "admin", isWhole: true, action: "egress.change" },
  "DELETE /v1/egress/{tenant}": { scope: "admin", isWhole: true, action: "egress.reset" },
  "GET /v1/quotas": { scope: "read" },
  "GET /v1/quotas/{tenant}": { scope: "read", isWhole: true },
  "POST /v1/quotas/{tenant}": { scope: "admin", isWhole: true, action: "quota.set" },
  "GET /v1/domains": { scope: "read" },
  "PUT /v1/domains/{domain}": { scope: "deploy", action: "domain.add" },
  "POST /v1/domains/{domain}/verify": { scope: "deploy", action: "domain.verify" },
  "DELETE /v1/domains/{domain}": { scope: "deploy", action: "domain.remove" },
  "GET /v1/usage": { scope: "read", hasQuery: true },
  "GET /v1/tenants": { scope: "read", isWhole: true },
  "GET /v1/tenants/{tenant}": { scope: "read", isWhole: true },
  "POST /v1/tenants": { scope: "admin", isWhole: true, action: "tenant.create" },
  "POST /v1/tenants/{tenant}": { scope: "admin", isWhole: true, action: "tenant.set" },
  "POST /v1/tenants/{tenant}/suspend": { scope: "admin", isWhole: true, action: "tenant.suspend" },
  "POST /v1/tenants/{tenant}/resume": { scope: "admin", isWhole: true, action: "tenant.resume" },
  "DELETE /v1/tenants/{tenant}": { scope: "admin", isWhole: true, action: "tenant.delete" },
  "GET /v1/audit": { scope: "admin", isWhole: true },
  "GET /v1/keys": { scope: "admin", isWhole: true },
  "POST /v1/keys": { scope: "admin", isWhole: true, action: "key.create" },
  "POST /v1/keys/{keyId}/rotate": { scope: "admin", isWhole: true, action: "key.rotate" },
  "DELETE /v1/keys/{keyId}": { scope: "admin", isWhole: true, action: "key.revoke" },
};

const UNKNOWN: RouteRule = { scope: "admin", isWhole: true, action: "unknown" };

/** A request's row, and the words of its path that the row leaves open. */
export interface FoundRule extends RouteRule {
  params: Readonly<Record<string, string>>;
}

const COMPILED = Object.entries(ROUTES).map(([name, rule]) => {
  const [method = "", path = ""] = name.split(" ");
  return { method, matcher: new RegExp(`^${path.replaceAll(/\{(\w+)\}/g, "(?<$1>[^/]+)")}$`), rule };
});

/** The row of a request; one that lets no key pass but a full one when there is none. */
export function ruleOf(method: string, path: string): FoundRule {
  for (const { method: its, matcher, rule } of COMPILED) {
    const match = its === method ? matcher.exec(path) : null;
    if (match) return { ...rule, params: match.groups ?? {} };
  }
  return { ...UNKNOWN, params: {} };
}
