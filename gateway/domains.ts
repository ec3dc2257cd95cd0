/** The hosts that a gateway knows, tenants' domains among them, and what proofs of these need. */
import type { Redis } from "ioredis";
import { ProvenDomains } from "../functions/store/domains/proven-domains.ts";
import type { DomainParts } from "./control/context.ts";
import { KeyedTurns } from "./control/turns.ts";
import type { GatewayConfig } from "./gateway-options.ts";
import { Hosts } from "./http/hosts.ts";

/** Hosts that follow the domains; `domains.proven` is to be read once, and closed. */
export function makeHosts(config: GatewayConfig, redis: Redis): { hosts: Hosts; domains: DomainParts } {
  const proven = new ProvenDomains(redis, () => hosts.forget());
  const hosts = new Hosts(config, proven);
  return { hosts, domains: { proven, turns: new KeyedTurns(), ...config.domains } };
}
