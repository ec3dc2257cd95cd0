/** Room for what a tenant wants to keep: one more version, and its bytes. */
import type { VersionRef } from "../../functions/model/invocation.ts";
import type { SecretScope } from "../../functions/model/secrets.ts";
import type { Version } from "../../functions/model/version.ts";
import { makeRoomForVersion } from "../../functions/store/limits/kept-versions.ts";
import { secretBytes, sizesOf, storedOf, sumOfStored } from "../../functions/store/limits/stored-bytes.ts";
import type { ControlParts } from "./context.ts";

/** How long gateways may still give calls a version that no alias names any more. */
const REMEMBERED_MS = 60_000;

/**
 * Makes room for one more version of a function.
 * @throws SandpiperError DEPLOY_QUOTA when there is none
 */
export async function takeVersion(parts: ControlParts, { tenant, functionName }: VersionRef): Promise<void> {
  const { redis, registry, quotas } = parts;
  const graceMs = parts.queueWaitMs + REMEMBERED_MS;
  const { own, functions } = quotas.limitsOf(tenant);
  const scopes = [
    { functionName: undefined, limit: own.versions },
    { functionName, limit: functions?.get(functionName)?.versions ?? 0 },
  ];
  for (const { functionName: name, limit } of scopes) {
    const over = await makeRoomForVersion(redis, registry, { tenant, functionName: name }, { limit, graceMs });
    if (over !== null) throw quotas.refusal(tenant, "versions", over, name);
  }
}

/**
 * Lets a version be kept whose bytes the tenant has room for.
 * @param version null: not known yet, and there must be some room
 * @throws SandpiperError STORAGE_QUOTA
 */
export async function checkStorage(
  { redis, artifacts, quotas }: ControlParts,
  tenant: string,
  version: Pick<Version, "files" | "bundle" | "sourceMap" | "included"> | null,
): Promise<void> {
  const limit = quotas.of(tenant, "storedBytes");
  if (limit === 0) return;
  const stored = await storedOf(redis, artifacts, tenant);
  const used = sumOfStored(stored);
  let more = version === null ? 1 : 0;
  for (const [digest, bytes] of version === null ? [] : await sizesOf(artifacts, [version]))
    if (!stored.sizes.has(digest)) more += bytes;
  if (used + more <= limit) return;
  const remedy = version === null ? DELETE : `The deployment has ${more} more. ${DELETE}`;
  throw quotas.refusal(tenant, "storedBytes", { limit, used, remedy });
}

const DELETE = "Delete functions, aliases of old versions, or secrets.";

/** Lets a secret be kept that the tenant has room for. @throws SandpiperError STORAGE_QUOTA */
export async function checkSecretStorage(
  { redis, artifacts, quotas }: ControlParts,
  scope: SecretScope,
  name: string,
  value: string,
): Promise<void> {
  const limit = quotas.of(scope.tenant, "storedBytes");
  if (limit === 0) return;
  const more = Buffer.byteLength(value) - (await secretBytes(redis, scope, name));
  if (more <= 0) return;
  const used = sumOfStored(await storedOf(redis, artifacts, scope.tenant));
  if (used + more > limit) throw quotas.refusal(scope.tenant, "storedBytes", { limit, used, remedy: DELETE });
}
