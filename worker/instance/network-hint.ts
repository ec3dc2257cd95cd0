/**
 * Tells a function's author why a host is not reached that no rule of `egress` names: errors of
 * sandboxes read as if a name server or the host itself had failed.
 */
import type { CallLog } from "../outcome/call-log.ts";

/** Most lines in one log. */
const MAX_LINES = 20;
const MAX_HOST_LENGTH = 260;

const LOOKUP = /\b(?:ENOTFOUND|EAI_AGAIN)\b(?: ([\w.-]+))?/;
/** An address without a route: neither declared, nor one that stands for a declared name. */
const NO_ROUTE = /\bENETUNREACH\b(?: ([\d.]+:\d+|[\da-f:]+))?/i;
/** An address that stands for a declared name (198.18.0.0/15), with a port that no rule has. */
const OTHER_PORT = /\bECONNREFUSED 198\.1[89]\.\d+\.\d+:(\d+)/;

/** Looks at what functions of one sandbox write, and says each thing once in each log. */
export class NetworkHint {
  readonly #hasEgress: boolean;
  readonly #told = new WeakMap<CallLog, Set<string>>();

  /** @param hasEgress whether a relay tells of the names that are refused */
  constructor(hasEgress = false) {
    this.#hasEgress = hasEgress;
  }

  /** Looks at what a function wrote to that log, or failed with. */
  look(text: string, log: CallLog): void {
    const hint = this.#hintOf(text);
    if (hint === null) return;
    const told = this.#told.get(log) ?? new Set();
    this.#told.set(log, told);
    if (told.has(hint) || told.size >= MAX_LINES) return;
    told.add(hint);
    log.say("warn", hint);
  }

  #hintOf(text: string): string | null {
    const [unrouted, address] = NO_ROUTE.exec(text) ?? [];
    if (unrouted !== undefined) return notDeclared(address);
    if (this.#hasEgress) return otherPort(text);
    const [unknown, name] = LOOKUP.exec(text) ?? [];
    return unknown === undefined ? null : notDeclared(name);
  }
}

function notDeclared(host: string | undefined): string {
  const shown = host?.slice(0, MAX_HOST_LENGTH).replace(/:443$/, "");
  const [what, rule] = shown === undefined ? ["What it wanted to reach", "the host and port"] : [shown, `"${shown}"`];
  return `${what} is not declared, and a function reaches nothing else: add ${rule} to "egress" in sandpiper.jsonc.`;
}

function otherPort(text: string): string | null {
  const [, port] = OTHER_PORT.exec(text) ?? [];
  if (port === undefined) return null;
  return `Port ${port} is not declared for any host: add the host with ":${port}" to "egress" in sandpiper.jsonc.`;
}
