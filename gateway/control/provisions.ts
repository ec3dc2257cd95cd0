/** What a function may have kept for it, beside what its tenant's other functions have. */
import type { Redis } from "ioredis";
import { SandpiperError } from "../../functions/model/errors.ts";
import type { FunctionConfig } from "../../functions/model/manifest.ts";
import { mostInstances } from "../../functions/model/provisions/min-instances.ts";
import { QUOTAS } from "../../functions/model/quotas.ts";
import { readProvisions } from "../../functions/store/provisions/provisions.ts";
import type { ControlParts } from "./context.ts";

/**
 * Looks whether a function that is deployed asks for no more than its tenant may have.
 * @throws SandpiperError DEPLOY_QUOTA
 */
export async function checkProvision(
  { redis, quotas }: Pick<ControlParts, "redis" | "quotas">,
  tenant: string,
  { name, minInstances }: FunctionConfig,
): Promise<void> {
  const wants = mostInstances(minInstances);
  const limit = quotas.limitsOf(tenant).own.warmInstances;
  if (wants === 0 || limit === 0) return;
  const used = await warmInstancesOf(redis, tenant, name);
  if (used + wants <= limit) return;
  const { unit, code } = QUOTAS.warmInstances;
  const have = used === 0 ? "" : `, and its other functions have ${used}`;
  const message = `${tenant} may have ${limit} ${unit} (warmInstances): ${name} asks for ${wants} by minInstances${have}.`;
  throw new SandpiperError(code, { message });
}

/** How many instances a tenant's functions ask for at most, without one of them. */
export async function warmInstancesOf(redis: Redis, tenant: string, without?: string): Promise<number> {
  const asking = (await readProvisions(redis)).filter((one) => one.tenant === tenant && one.functionName !== without);
  const most = asking.map(({ versions }) => Math.max(...versions.map((one) => mostInstances(one.minInstances))));
  return most.reduce((sum, count) => sum + count, 0);
}
