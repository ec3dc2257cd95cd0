/** What one sandbox declared, and what was denied to it, ready to be asked about. */
import { type BlockList, isIPv6 } from "node:net";
import type { EgressPolicy, EgressRefusal, EgressRule } from "../contract/egress.ts";
import { rangesOf } from "./addresses.ts";

export class Rules {
  readonly #granted: RuleIndex;
  readonly #denied: RuleIndex;

  constructor({ rules, deny }: Pick<EgressPolicy, "rules" | "deny">) {
    this.#granted = new RuleIndex(rules);
    this.#denied = new RuleIndex(deny);
  }

  /** Why a name may not be looked up, or null. */
  refuseLookup(name: string): EgressRefusal | null {
    if (this.#denied.isWhollyOf(name)) return "denied";
    return this.#granted.portsOf(name).length > 0 ? null : "undeclared_name";
  }

  /** Why a name may not be reached on a port, or null. */
  refuseName(name: string, port: number): EgressRefusal | null {
    if (includes(this.#denied.portsOf(name), port)) return "denied";
    const ports = this.#granted.portsOf(name);
    if (ports.length === 0) return "undeclared_name";
    return includes(ports, port) ? null : "undeclared_port";
  }

  /** Why an address may not be reached on a port without a name, or null. */
  refuseAddress(address: string, port: number): EgressRefusal | null {
    if (this.isAddressDenied(address, port)) return "denied";
    const ports = this.#granted.portsOfAddress(address);
    if (ports.length === 0) return "undeclared_address";
    return includes(ports, port) ? null : "undeclared_port";
  }

  /** Whether an address is denied by itself, whatever name led to it. */
  isAddressDenied(address: string, port: number): boolean {
    return includes(this.#denied.portsOfExactAddress(address), port);
  }

  /** Whether an address was declared itself, not as one of all that are public. */
  declaresAddress(address: string): boolean {
    return this.#granted.portsOfExactAddress(address).length > 0;
  }
}

/** A rule that denies may hold for every port. */
type Ports = readonly (readonly number[])[];

class RuleIndex {
  readonly #names = new Map<string, (readonly number[])[]>();
  readonly #addresses = new Map<string, (readonly number[])[]>();
  readonly #suffixes: { suffix: string; ports: readonly number[] }[] = [];
  readonly #networks: { network: BlockList; ports: readonly number[] }[] = [];
  readonly #public: (readonly number[])[] = [];

  constructor(rules: readonly EgressRule[]) {
    for (const { to, ports } of rules) {
      if (to.kind === "name") append(this.#names, to.name, ports);
      else if (to.kind === "address") append(this.#addresses, to.address, ports);
      else if (to.kind === "network") this.#networks.push({ network: rangesOf([to.network]), ports });
      else if (to.kind === "suffix") this.#suffixes.push({ suffix: to.suffix, ports });
      else this.#public.push(ports);
    }
  }

  portsOf(name: string): Ports {
    const bySuffix = this.#suffixes.filter(({ suffix }) => name.endsWith(suffix) && name.length > suffix.length);
    return [...(this.#names.get(name) ?? []), ...bySuffix.map(({ ports }) => ports), ...this.#public];
  }

  portsOfAddress(address: string): Ports {
    return [...this.portsOfExactAddress(address), ...this.#public];
  }

  portsOfExactAddress(address: string): Ports {
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    const around = this.#networks.filter(({ network }) => network.check(address, family));
    return [...(this.#addresses.get(address) ?? []), ...around.map(({ ports }) => ports)];
  }

  /** Whether some rule is about every port of the name. */
  isWhollyOf(name: string): boolean {
    return this.portsOf(name).some((ports) => ports.length === 0);
  }
}

function append(map: Map<string, (readonly number[])[]>, key: string, ports: readonly number[]): void {
  map.set(key, [...(map.get(key) ?? []), ports]);
}

function includes(all: Ports, port: number): boolean {
  return all.some((ports) => ports.length === 0 || ports.includes(port));
}
