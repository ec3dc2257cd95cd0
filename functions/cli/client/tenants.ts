/** The routes of tenants, as commands use them. */
import {
  type TenantDeleted,
  type TenantDetails,
  tenantDeletedSchema,
  tenantListSchema,
  tenantSchema,
} from "../../api/tenants.ts";
import type { Gateway } from "./gateway.ts";

const pathOf = (tenant: string): string => `/v1/tenants/${encodeURIComponent(tenant)}`;

/** @throws CliError NOT_OPERATOR, TENANT_EXISTS */
export function createTenant(gateway: Gateway, tenant: string): Promise<TenantDetails> {
  return gateway.ask(tenantSchema, "POST", "/v1/tenants", { tenant });
}

/** Those that the key may see. */
export async function listTenants(gateway: Gateway): Promise<TenantDetails[]> {
  return (await gateway.ask(tenantListSchema, "GET", "/v1/tenants")).tenants;
}

/** @throws CliError TENANT_NOT_FOUND */
export function showTenant(gateway: Gateway, tenant: string): Promise<TenantDetails> {
  return gateway.ask(tenantSchema, "GET", pathOf(tenant));
}

/** @throws CliError NOT_OPERATOR, TENANT_NOT_FOUND */
export function moveTenant(gateway: Gateway, tenant: string, move: "suspend" | "resume"): Promise<TenantDetails> {
  return gateway.ask(tenantSchema, "POST", `${pathOf(tenant)}/${move}`);
}

/** @throws CliError NOT_OPERATOR, TENANT_NOT_FOUND */
export function deleteTenant(gateway: Gateway, tenant: string): Promise<TenantDeleted> {
  return gateway.ask(tenantDeletedSchema, "DELETE", pathOf(tenant));
}
