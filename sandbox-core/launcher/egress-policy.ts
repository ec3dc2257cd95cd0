/** A policy of egress, looked at before any process acts on it. */
import { isIP, isIPv4 } from "node:net";
import {
  type EgressPolicy,
  type EgressRule,
  type EgressSockets,
  type EgressTarget,
  MOST_EGRESS_PORTS,
  MOST_EGRESS_RULES,
} from "../contract/egress.ts";
import { SandboxError } from "../contract/error.ts";

const LONGEST_NAME = 253;
const NAME = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/;
const LAST_PORT = 65_535;
const TLS_PORT = 443;

/**
 * The routes and sockets that a policy needs.
 * @throws SandboxError that says what is wrong with it
 */
export function socketsOf(policy: EgressPolicy): EgressSockets {
  const { rules, deny, privateRanges, privateNames = [], limits, injections = [] } = policy;
  if (Math.max(rules.length, deny.length) > MOST_EGRESS_RULES)
    throw new SandboxError(`egress has ${rules.length} rules, and ${MOST_EGRESS_RULES} are the most`);
  for (const rule of rules) {
    if (rule.to.kind === "network") throw new SandboxError(`${rule.to.network} is a network, which is only denied`);
    checkRule(rule, 1);
  }
  for (const rule of deny) checkRule(rule, 0);
  for (const range of privateRanges) checkRange(range);
  for (const { to, range } of privateNames) {
    checkTarget(to);
    checkRange(range);
  }
  for (const { name } of injections)
    if (!rules.some(({ to, ports }) => to.kind === "name" && to.name === name && ports.includes(TLS_PORT)))
      throw new SandboxError(`something is injected for ${name}, which no rule names on port ${TLS_PORT}`);
  for (const [name, limit] of Object.entries(limits))
    if (!(limit >= 1)) throw new SandboxError(`the limit ${name} of egress is ${limit}, and 1 is the least`);
  const ports = [...new Set(rules.flatMap((rule) => rule.ports))].sort((a, b) => a - b);
  if (ports.length > MOST_EGRESS_PORTS)
    throw new SandboxError(`egress has ${ports.length} different ports, and ${MOST_EGRESS_PORTS} are the most`);
  const addresses = [...new Set(rules.flatMap(({ to }) => (to.kind === "address" ? [to.address] : [])))];
  return { publicRoutes: rules.some(({ to }) => to.kind === "public"), addresses, ports };
}

function checkRule({ to, ports }: EgressRule, fewest: number): void {
  checkTarget(to);
  if (ports.length < fewest) throw new SandboxError(`egress to ${JSON.stringify(to)} has no port`);
  for (const port of ports)
    if (!(Number.isInteger(port) && port > 0 && port <= LAST_PORT))
      throw new SandboxError(`${port} is no port of egress`);
}

function checkTarget(to: EgressTarget): void {
  if (to.kind === "public") return;
  if (to.kind === "network") {
    checkRange(to.network);
    return;
  }
  if (to.kind === "address") {
    if (!isIPv4(to.address)) throw new SandboxError(`${to.address} is no address of version 4, as egress has them`);
    // The sandbox's own, which never leaves it.
    if (to.address.startsWith("127.")) throw new SandboxError(`${to.address} is the sandbox itself, not egress`);
    return;
  }
  const name = to.kind === "name" ? to.name : to.suffix.replace(/^\./, "");
  const hasDot = to.kind === "name" || to.suffix.startsWith(".");
  if (!hasDot || name.length > LONGEST_NAME || !NAME.test(name) || isIP(name) !== 0)
    throw new SandboxError(`${JSON.stringify(to)} is no name of egress: lower case, without a final dot`);
}

function checkRange(range: string): void {
  const [address = "", bits = "", ...more] = range.split("/");
  const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > most || more.length > 0)
    throw new SandboxError(`${range} is no range like 10.0.0.0/8`);
}
