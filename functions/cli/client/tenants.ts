/** The routes of tenants, as commands use them. */
import type { TenantDeleted, TenantDetails } from "../../api/tenants.ts";
import type { Gateway } from "./gateway.ts";

/** The shapes take milliseconds to build, and help needs none. */
const shapes = () => import("../../api/tenants.ts");

const pathOf = (tenant: string): string => `/v1/tenants/${encodeURIComponent(tenant)}`;

/** @throws CliError NOT_OPERATOR, TENANT_EXISTS */
export async function createTenant(gateway: Gateway, tenant: string, weight?: number): Promise<TenantDetails> {
  const wish = { tenant, ...(weight !== undefined && { weight }) };
  return gateway.ask((await shapes()).tenantSchema, "POST", "/v1/tenants", wish);
}

/** @throws CliError NOT_OPERATOR, TENANT_NOT_FOUND */
export async function changeTenant(gateway: Gateway, tenant: string, weight: number): Promise<TenantDetails> {
  return gateway.ask((await shapes()).tenantSchema, "POST", pathOf(tenant), { weight });
}

/** The tenants that the key may see. */
export async function listTenants(gateway: Gateway): Promise<TenantDetails[]> {
  return (await gateway.ask((await shapes()).tenantListSchema, "GET", "/v1/tenants")).tenants;
}

/** @throws CliError TENANT_NOT_FOUND */
export async function showTenant(gateway: Gateway, tenant: string): Promise<TenantDetails> {
  return gateway.ask((await shapes()).tenantSchema, "GET", pathOf(tenant));
}

/** @throws CliError NOT_OPERATOR, TENANT_NOT_FOUND */
export async function moveTenant(gateway: Gateway, tenant: string, move: "suspend" | "resume"): Promise<TenantDetails> {
  return gateway.ask((await shapes()).tenantSchema, "POST", `${pathOf(tenant)}/${move}`);
}

/** @throws CliError NOT_OPERATOR, TENANT_NOT_FOUND */
export async function deleteTenant(gateway: Gateway, tenant: string): Promise<TenantDeleted> {
  return gateway.ask((await shapes()).tenantDeletedSchema, "DELETE", pathOf(tenant));
}
