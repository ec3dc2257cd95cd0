/** What a version declares to connect to, and whether its tenant is granted that. */
import { canonicalEgress, type EgressEntry, ruleOf, textOf } from "../../functions/model/egress-entry.ts";
import { readGrants, whyNotGranted } from "../../functions/model/egress-grants.ts";
import { SandpiperError } from "../../functions/model/errors.ts";
import type { FunctionConfig } from "../../functions/model/manifest.ts";
import { grantsOf } from "../../functions/store/egress-grants.ts";
import { type AddedAndRemoved, addedAndRemoved } from "./added-and-removed.ts";
import type { ControlParts } from "./context.ts";

/** The configuration with its rules in one form for all ways to write the same. */
export function withCanonicalEgress(config: FunctionConfig): FunctionConfig {
  return config.egress === undefined ? config : { ...config, egress: canonicalEgress(config.egress) };
}

/** @throws SandpiperError EGRESS_NOT_GRANTED that names the rule and the operator's command */
export async function checkEgress(
  { redis, egressDefaults }: Pick<ControlParts, "redis" | "egressDefaults">,
  tenant: string,
  { egress = [] }: FunctionConfig,
): Promise<void> {
  if (egress.length === 0) return;
  const grants = readGrants(tenant, await grantsOf(redis, tenant), egressDefaults);
  for (const entry of egress) {
    const refusal = whyNotGranted(ruleOf(entry), grants);
    if (refusal === null) continue;
    const what = `egress: "${textOf(entry)}" is not granted: ${refusal.reason}.`;
    const message = `${what} Whoever operates Sandpiper grants it with: ${refusal.remedy}`;
    throw new SandpiperError("EGRESS_NOT_GRANTED", { message });
  }
}

/** The difference between two versions' rules. */
export function egressChange(before: readonly EgressEntry[] = [], after: readonly EgressEntry[] = []): AddedAndRemoved {
  return addedAndRemoved(before.map(textOf), after.map(textOf));
}

/** The rules of a tenant's functions that are not granted, with the reason. */
export async function refusedRules(
  { redis, registry, egressDefaults }: ControlParts,
  tenant: string,
): Promise<{ name: string; rule: string; reason: string }[]> {
  const grants = readGrants(tenant, await grantsOf(redis, tenant), egressDefaults);
  const functions = await registry.listFunctions(tenant);
  return functions.flatMap(({ functionName: name, version }) =>
    (version.config.egress ?? []).flatMap((entry) => {
      const refusal = whyNotGranted(ruleOf(entry), grants);
      return refusal === null ? [] : [{ name, rule: textOf(entry), reason: refusal.reason }];
    }),
  );
}
