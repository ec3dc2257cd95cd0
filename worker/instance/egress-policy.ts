/** The policy of one version's sandboxes: what it declares, within what its tenant is granted. */
import type { EgressRule } from "../../functions/model/egress.ts";
import { type EgressEntry, ruleOf, textOf } from "../../functions/model/egress-entry.ts";
import { type ReadGrants, whyNotGranted } from "../../functions/model/egress-grants.ts";
import { formatNetwork, formatRange } from "../../functions/model/ip-network.ts";
import type { EgressInjection, EgressLimits, EgressPolicy, EgressTarget } from "../../sandbox-core/index.ts";

/** A rule that the tenant is not granted any more, and why. */
export interface RefusedRule {
  rule: string;
  reason: string;
}

export interface VersionEgress {
  policy: EgressPolicy;
  refused: RefusedRule[];
}

/** The rules that are granted now; the others are out of force. */
export function policyOf(
  entries: readonly EgressEntry[],
  grants: ReadGrants,
  limits: EgressLimits,
  injections: readonly EgressInjection[] = [],
): VersionEgress {
  const refused: RefusedRule[] = [];
  const rules = entries.flatMap((entry) => {
    const rule = ruleOf(entry);
    const refusal = whyNotGranted(rule, grants);
    if (refusal !== null) refused.push({ rule: textOf(entry), reason: refusal.reason });
    return refusal === null ? [forRelay(rule)] : [];
  });
  const policy: EgressPolicy = {
    tenant: grants.tenant,
    rules,
    privateRanges: grants.private.filter(({ of }) => of === null).map(({ network }) => formatRange(network)),
    privateNames: grants.private.flatMap(({ of, network }) => (of ? [{ to: of, range: formatRange(network) }] : [])),
    deny: grants.deny.map(deniedForRelay),
    limits,
    injections: injections.filter(({ name }) => rules.some(({ to }) => to.kind === "name" && to.name === name)),
  };
  return { policy, refused };
}

function forRelay({ to, ports }: EgressRule): EgressPolicy["rules"][number] {
  // Without a port a rule that denies is about all of them, and no other rule has none.
  return { to: targetForRelay(to), ports: ports === "any" ? [] : ports };
}

/** Whatever is denied may be a network, and any address: the relay needs no route for it. */
function deniedForRelay(rule: EgressRule): EgressPolicy["deny"][number] {
  const { to } = rule;
  return to.kind === "network"
    ? { ...forRelay(rule), to: { kind: "network", network: formatRange(to.network) } }
    : forRelay(rule);
}

function targetForRelay(to: EgressRule["to"]): EgressTarget {
  return to.kind === "network" ? { kind: "address", address: formatNetwork(to.network) } : to;
}
