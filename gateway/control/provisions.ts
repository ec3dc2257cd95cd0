/** What a function may have kept for it, beside what its tenant's other functions have. */
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
  { redis, quotaOf }: Pick<ControlParts, "redis" | "quotaOf">,
  tenant: string,
  { name, minInstances }: FunctionConfig,
): Promise<void> {
  const wants = mostInstances(minInstances);
  const limit = quotaOf(tenant, "warmInstances");
  if (wants === 0 || limit === 0) return;
  const others = (await readProvisions(redis)).filter((one) => one.tenant === tenant && one.functionName !== name);
  const most = others.map(({ versions }) => Math.max(...versions.map((one) => mostInstances(one.minInstances))));
  const used = most.reduce((sum, count) => sum + count, 0);
  if (used + wants <= limit) return;
  const { unit, code } = QUOTAS.warmInstances;
  const have = used === 0 ? "" : `, and its other functions have ${used}`;
  const message = `${tenant} may have ${limit} ${unit} (warmInstances): ${name} asks for ${wants} by minInstances${have}.`;
  throw new SandpiperError(code, { message });
}
