/** The routes of domains, as commands use them. */
import type { DomainInfo, DomainProof, DomainWish } from "../../api/domains.ts";
import type { Gateway } from "./gateway.ts";

/** The shapes take milliseconds to build, and help needs none. */
const shapes = () => import("../../api/domains.ts");

/** @param tenant whose domains, for the operator; else the key's own */
function pathOf(path: string, tenant: string | undefined): string {
  const query = tenant === undefined ? "" : `?${new URLSearchParams({ tenant })}`;
  return `/v1/domains${path}${query}`;
}

/** The domains of a tenant that the key may see, by name. @throws CliError TENANT_NOT_FOUND */
export async function listDomains(gateway: Gateway, tenant?: string): Promise<DomainInfo[]> {
  return (await gateway.ask((await shapes()).domainListSchema, "GET", pathOf("", tenant))).domains;
}

/** Claims a domain, or has it be for another function. @throws CliError INVALID_DOMAIN */
export async function addDomain(
  gateway: Gateway,
  name: string,
  wish: DomainWish,
  tenant?: string,
): Promise<DomainInfo> {
  return gateway.ask((await shapes()).domainSchema, "PUT", pathOf(`/${encodeURIComponent(name)}`, tenant), wish);
}

/** Proves a domain. @throws CliError DOMAIN_NOT_PROVEN, DOMAIN_TAKEN, NOT_OPERATOR */
export async function verifyDomain(
  gateway: Gateway,
  name: string,
  proof: DomainProof,
  tenant?: string,
): Promise<DomainInfo> {
  const path = pathOf(`/${encodeURIComponent(name)}/verify`, tenant);
  return gateway.ask((await shapes()).domainSchema, "POST", path, proof);
}

/** @throws CliError DOMAIN_NOT_FOUND */
export function removeDomain(gateway: Gateway, name: string, tenant?: string): Promise<void> {
  return gateway.tell("DELETE", pathOf(`/${encodeURIComponent(name)}`, tenant));
}
