/** The egress of a box: hosts that its command reaches, whoever else has the machine. */
import type { EgressEvent, EgressLimits, EgressPolicy, EgressRule } from "../contract/egress.ts";

export interface BoxEgress {
  rules: readonly EgressRule[];
  /**
   * Ranges like `10.0.0.0/8` that are refused unless they are named here; each host in one needs a
   * rule as well.
   */
  privateRanges?: readonly string[];
  /** Wins over `rules`. */
  deny?: readonly EgressRule[];
  /** `DEFAULT_BOX_EGRESS_LIMITS` where nothing is given. */
  limits?: Partial<EgressLimits>;
  /** Told of connections, and of what was refused. */
  onEvent?: (event: EgressEvent) => void;
}

export const DEFAULT_BOX_EGRESS_LIMITS: EgressLimits = {
  connections: 256,
  connectionsPerSecond: 1_024,
  bytes: Number.MAX_SAFE_INTEGER,
};

/** One user of the relay: all boxes of a zygote. */
const TENANT = "box";

export function policyOfBox({ rules, privateRanges = [], deny = [], limits }: BoxEgress): EgressPolicy {
  return { tenant: TENANT, rules, privateRanges, deny, limits: { ...DEFAULT_BOX_EGRESS_LIMITS, ...limits } };
}
