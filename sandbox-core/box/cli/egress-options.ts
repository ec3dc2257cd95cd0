/**
 * Hosts on the command line of `box run`, in the words of a function's manifest, and refusals in
 * the words of the command line.
 */
import { type EgressRule as ReadRule, readRule } from "../../../functions/model/egress.ts";
import { readGrant } from "../../../functions/model/egress-grants.ts";
import { formatNetwork, formatRange, holds, readNetwork } from "../../../functions/model/ip-network.ts";
import { refusedRangeOf } from "../../../functions/model/refused-ranges.ts";
import type { EgressEvent, EgressRule } from "../../contract/egress.ts";
import type { BoxEgress } from "../egress.ts";
import { quote } from "./units.ts";
import { UsageError } from "./usage.ts";

const HOW = "write a name, an address or public, and a port if it is not 443: db.example.com:5432";
const HOW_PRIVATE = "write a network or an address of a private range: --egress-private 10.0.0.0/8";
/** Most different lines about refusals. */
const MOST_LINES = 20;

export interface EgressWords {
  rules: ReadRule[];
  /** Networks like 10.0.0.0/8. */
  privateRanges: string[];
  connections?: number;
  bytes?: number;
}

/** @throws UsageError */
export function readEgress(text: string): ReadRule {
  const rule = readRule(text, "function");
  if (typeof rule === "string") throw new UsageError(`${quote(text)} is no host: ${rule}`, HOW);
  return rule;
}

/** @throws UsageError */
export function readPrivateRange(text: string): string {
  const read = readGrant("private", text);
  const network = "text" in read ? readNetwork(read.text) : null;
  if (network === null) throw new UsageError("problem" in read ? read.problem : `${quote(text)} is none`, HOW_PRIVATE);
  return formatRange(network);
}

/**
 * The egress of a box, or undefined when it has none.
 * @throws UsageError when an address is private and its range is not named
 */
export function egressOf(words: EgressWords): BoxEgress | undefined {
  const { rules, privateRanges, connections, bytes } = words;
  if (rules.length === 0) {
    if (privateRanges.length === 0) return undefined;
    throw new UsageError("--egress-private opens nothing by itself", "add --egress HOST:PORT for a host in the range");
  }
  for (const rule of rules) refuseUnlessOpen(rule, privateRanges);
  const limits = { ...(connections !== undefined && { connections }), ...(bytes !== undefined && { bytes }) };
  return { rules: rules.map(forRelay), privateRanges, limits };
}

function refuseUnlessOpen({ to }: ReadRule, privateRanges: readonly string[]): void {
  const refused = to.kind === "network" ? refusedRangeOf(to.network) : null;
  if (to.kind !== "network" || refused === null) return;
  const address = formatNetwork(to.network);
  if (privateRanges.map(readNetwork).some((range) => range !== null && holds(range, to.network))) return;
  throw new UsageError(
    `--egress: ${address} is in ${refused.range}, ${refused.what}, which is refused`,
    `add --egress-private ${address} if the box may reach it`,
  );
}

function forRelay({ to, ports }: ReadRule): EgressRule {
  const target = to.kind === "network" ? ({ kind: "address", address: formatNetwork(to.network) } as const) : to;
  return { to: target, ports: ports === "any" ? [] : ports };
}

/** Tells what was refused, each host and reason once. */
export class RefusalLines {
  readonly #say: (text: string) => void;
  readonly #said = new Set<string>();

  constructor(say: (text: string) => void) {
    this.#say = say;
  }

  hear(event: EgressEvent): void {
    if (event.kind !== "refused" || this.#said.size >= MOST_LINES) return;
    const { verdict, port, remedy = "" } = event;
    const name = event.name ?? event.address ?? "a host";
    const host = JSON.stringify(port === 0 ? name : `${name}:${port}`).slice(1, -1);
    const line = `${host} was not reached (${verdict}). ${adviceOf(event, host) ?? remedy}`;
    if (this.#said.has(line)) return;
    this.#said.add(line);
    this.#say(line);
  }
}

/** Advice where an option is to be added; the relay knows nothing of command lines. */
function adviceOf({ verdict, address, port }: EgressEvent, host: string): string | null {
  if (verdict === "private_address")
    return `Its address ${address} is not public: add --egress-private ${address} if the box may reach it.`;
  if (!["undeclared_name", "undeclared_port", "undeclared_address"].includes(verdict)) return null;
  const more = port === 0 ? " (with :PORT unless that is 443)" : "";
  return `Add --egress ${host.replace(/:443$/, "")}${more} if the box may reach it.`;
}
