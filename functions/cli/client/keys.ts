/** The routes of API keys, as commands use them. */
import type { KeyInfo, MadeKeyInfo, NewKey } from "../../api/keys.ts";
import type { Gateway } from "./gateway.ts";

/** The shapes take milliseconds to build, and help needs none. */
const shapes = () => import("../../api/keys.ts");

/** @param tenant whose keys, for the operator; else the key's own */
function pathOf(path: string, tenant: string | undefined): string {
  const query = tenant === undefined ? "" : `?${new URLSearchParams({ tenant })}`;
  return `/v1/keys${path}${query}`;
}

/** @throws CliError TENANT_NOT_FOUND, as the others */
export async function listKeys(gateway: Gateway, tenant?: string): Promise<KeyInfo[]> {
  return (await gateway.ask((await shapes()).keyListSchema, "GET", pathOf("", tenant))).keys;
}

/** The key is in the answer, this once. @throws CliError INVALID_REQUEST */
export async function createKey(gateway: Gateway, wish: NewKey, tenant?: string): Promise<MadeKeyInfo> {
  return gateway.ask((await shapes()).madeKeySchema, "POST", pathOf("", tenant), wish);
}

/** @throws CliError KEY_NOT_FOUND */
export async function rotateKey(
  gateway: Gateway,
  id: string,
  overlapMs: number,
  tenant?: string,
): Promise<MadeKeyInfo> {
  return gateway.ask((await shapes()).madeKeySchema, "POST", pathOf(`/${encodeURIComponent(id)}/rotate`, tenant), {
    overlapMs,
  });
}

/** @throws CliError KEY_NOT_FOUND */
export function revokeKey(gateway: Gateway, id: string, tenant?: string): Promise<void> {
  return gateway.tell("DELETE", pathOf(`/${encodeURIComponent(id)}`, tenant));
}
