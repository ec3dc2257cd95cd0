/**
 * How far an operator lets the functions of a tenant reach, and whether a rule of a function stays
 * within that.
 */
import { DEFAULT_PORT, type EgressRule, type EgressTarget, formatRule, readRule } from "./egress.ts";
import { formatNetwork, holds, type IpNetwork, readNetwork } from "./ip-network.ts";
import { refusedRangeOf } from "./refused-ranges.ts";

/** Most rules of one list of a tenant. */
export const MAX_GRANTS = 128;

/** The grants of a tenant as they are kept and shown: rules in their shortest form. */
export interface EgressGrants {
  /** Rules that functions may declare; null: those of `SANDPIPER_EGRESS_DEFAULT`. */
  allow: string[] | null;
  /** Rules that none of them may use, although they are allowed. */
  deny: string[];
  /** Networks that are refused otherwise, each for all names or as `name=network` for some. */
  private: string[];
}

/** The lists that an operator changes. */
export const GRANT_LISTS = ["allow", "deny", "private"] as const;
export type GrantList = (typeof GRANT_LISTS)[number];

export const NO_GRANTS: EgressGrants = { allow: null, deny: [], private: [] };

/** The grants that count for all tenants, as the configuration says. */
export interface EgressDefaults {
  /** The list of a tenant that has none of its own. */
  allow: "public" | "none";
  /** Rules that are denied to all. */
  deny: readonly string[];
}

/** A sentence for each rule that is none, of those that are configured as denied to all. */
export function denyProblems(deny: readonly string[]): string[] {
  return deny.flatMap((text) => {
    const grant = readGrant("deny", text);
    return "problem" in grant ? [`SANDPIPER_EGRESS_DENY has ${JSON.stringify(text)}: ${grant.problem}`] : [];
  });
}

/** Everything public, on every port that there is. */
const EVERYTHING_PUBLIC: EgressRule = { to: { kind: "public" }, ports: "any" };

/** Last labels of names that mean something in one network alone. */
const PRIVATE_NAME = /^[^.]+$|\.(?:local|localdomain|internal|intranet|private|corp|home|lan|home\.arpa)$/;

/**
 * The shortest form of a rule or network for one of the lists, or a sentence on what is wrong.
 */
export function readGrant(list: GrantList, text: string): { text: string } | { problem: string } {
  if (list === "private") return readPrivate(text);
  const rule = readRule(text, "operator");
  if (typeof rule === "string") return { problem: rule };
  return { text: formatRule(rule) };
}

const PRIVATE_FORM =
  "a private grant is a network (10.0.0.0/8) or an address, without a port; for a name alone: db.internal=10.0.0.0/8";

/** A network that a tenant's functions may reach although it is refused otherwise. */
export interface PrivateGrant {
  network: IpNetwork;
  /** The names that may lead there; null: all names, and its addresses themselves. */
  of: Extract<EgressTarget, { kind: "name" | "suffix" }> | null;
}

function readPrivate(text: string): { text: string } | { problem: string } {
  const grant = privateGrantOf(text);
  if (typeof grant === "string") return { problem: grant };
  const { network, of } = grant;
  const range = refusedRangeOf(network);
  const name = of === null ? "" : `${formatRule({ to: of, ports: [DEFAULT_PORT] })}=`;
  if (range?.grantable) return { text: name + formatNetwork(network) };
  const what = `${JSON.stringify(text)} ${range === null ? "is public, or holds more than one private range" : `is ${range.what}`}`;
  const advice =
    range === null ? "allow bounds what is public; a private range is granted by itself" : "it is never granted";
  return { problem: `${what}; ${advice}` };
}

/** A private grant out of its text, or a sentence on what is wrong with it. */
function privateGrantOf(text: string): PrivateGrant | string {
  const [, name = null, range = ""] = /^(?:([^=]*)=)?(.*)$/s.exec(text) ?? [];
  const network = readNetwork(range.replace(/^\[(.*)\]$/, "$1"));
  if (network === null) return PRIVATE_FORM;
  if (name === null) return { network, of: null };
  const rule = readRule(name, "operator");
  if (typeof rule === "string") return rule;
  const { to } = rule;
  if (name.includes(":") || (to.kind !== "name" && to.kind !== "suffix"))
    return `before the "=" stands a name without a port, as in db.internal=10.0.0.0/8 or *.corp.example.com=10.0.0.0/8`;
  return { network, of: to };
}

/** Grants, ready to be compared with rules. */
export interface ReadGrants {
  tenant: string;
  allow: readonly EgressRule[];
  deny: readonly EgressRule[];
  private: readonly PrivateGrant[];
}

/** All that a tenant's functions may reach. */
export function readGrants(tenant: string, grants: EgressGrants, defaults: EgressDefaults): ReadGrants {
  const rules = (texts: readonly string[]) =>
    texts.map((text) => readRule(text, "operator")).filter((rule) => typeof rule !== "string");
  return {
    tenant,
    allow: grants.allow === null ? (defaults.allow === "public" ? [EVERYTHING_PUBLIC] : []) : rules(grants.allow),
    deny: rules([...defaults.deny, ...grants.deny]),
    private: grants.private.map(privateGrantOf).filter((grant) => typeof grant !== "string"),
  };
}

/** Why a function may not have a rule, and the operator's command that lets it. */
export interface NotGranted {
  reason: string;
  remedy: string;
}

/** Whether a tenant's function may have a rule: null when it may. */
export function whyNotGranted(rule: EgressRule, grants: ReadGrants): NotGranted | null {
  const { tenant } = grants;
  const denied = grants.deny.find((one) => covers(one, rule));
  if (denied !== undefined) {
    const text = formatRule(denied);
    return { reason: `"${text}" is denied`, remedy: `sandpiper egress deny ${tenant} --remove '${text}'` };
  }
  const { to } = rule;
  if (to.kind === "network" && refusedRangeOf(to.network) !== null) return whyNotPrivate(to.network, grants);
  if (grants.private.some(({ of }) => of !== null && coversTarget(of, to))) return null;
  const isPrivate = to.kind === "name" && PRIVATE_NAME.test(to.name);
  if (isPrivate && grants.private.some(({ of }) => of === null)) return null;
  if (grants.allow.some((one) => covers(one, rule) && !(isPrivate && one.to.kind === "public"))) return null;
  if (isPrivate) {
    const reason = `it is a name of a private network, and ${tenant} is granted no private range for it`;
    return { reason, remedy: `sandpiper egress private ${tenant} '${to.name}=<the range of its address>'` };
  }
  return { reason: `${tenant} is not allowed it`, remedy: `sandpiper egress allow ${tenant} '${formatRule(rule)}'` };
}

function whyNotPrivate(network: IpNetwork, grants: ReadGrants): NotGranted | null {
  if (grants.private.some((one) => one.of === null && holds(one.network, network))) return null;
  const { range, what } = refusedRangeOf(network) ?? { range: "", what: "" };
  const address = formatNetwork(network);
  const reason = `${address} is in ${range}, ${what}, which ${grants.tenant} is not granted`;
  return { reason, remedy: `sandpiper egress private ${grants.tenant} ${address}` };
}

/**
 * Advice about a host that a function did not reach, as its address is refused to the
 * tenant: what that is, and the command of the operator that opens it if one does.
 * @param name that led to the address, if one did
 */
export function privateAddressAdvice(tenant: string, name: string | null, address: string): string {
  const network = readNetwork(address);
  const range = network && refusedRangeOf(network);
  const subject = name === null ? "It" : `Its address ${address}`;
  if (network === null || range === null)
    return `${subject} is the worker's own, or no public one, which nobody reaches.`;
  const what = `${subject} is in ${range.range}, ${range.what}`;
  if (!range.grantable) return `${what}, which nobody reaches.`;
  // Names that a function looked up are in a command only where they are names of hosts.
  const grant = name === null || typeof readRule(name, "operator") === "string" ? address : `${name}=${address}`;
  return `${what}, which ${tenant} is not granted. Whoever operates Sandpiper grants it with: sandpiper egress private ${tenant} ${grant}`;
}

/** Whether everything that a rule lets through is let through by another. */
export function covers(outer: EgressRule, inner: EgressRule): boolean {
  return coversPorts(outer.ports, inner.ports) && coversTarget(outer.to, inner.to);
}

function coversPorts(outer: EgressRule["ports"], inner: EgressRule["ports"]): boolean {
  if (outer === "any") return true;
  return inner !== "any" && inner.every((port) => outer.includes(port));
}

function coversTarget(outer: EgressTarget, inner: EgressTarget): boolean {
  switch (outer.kind) {
    case "public":
      return inner.kind !== "network" || refusedRangeOf(inner.network) === null;
    case "name":
      return inner.kind === "name" && inner.name === outer.name;
    case "suffix":
      if (inner.kind === "name") return inner.name.endsWith(outer.suffix);
      return inner.kind === "suffix" && inner.suffix.endsWith(outer.suffix);
    case "network":
      return inner.kind === "network" && holds(outer.network, inner.network);
  }
}
