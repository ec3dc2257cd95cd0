/**
 * The account of a call's outgoing connections: a span of each, its part of the call's record, and
 * lines in the function's log about what was refused or cut.
 */

import { privateAddressAdvice } from "../../functions/model/egress-grants.ts";
import { type CallEgress, type ConnectionRecord, MAX_CONNECTION_RECORDS } from "../../functions/model/record.ts";
import { settledWithin } from "../../infra/std/time.ts";
import type { EgressEvent } from "../../sandbox-core/index.ts";
import type { CallLog } from "./call-log.ts";

/** Most lines about connections in the log of one call, and most spans. */
const MAX_LINES = 20;
const MAX_SPANS = 100;
/** Longest part of a name that a function made up. */
const MAX_NAME_LENGTH = 253;

/** Longest wait for word of a connection that broke. */
const WORD_MS = 2_000;
/** Words of clients whose connection broke. */
const BROKEN = /ECONNRESET|EPIPE|hang up|terminated|closed|lost|disconnect|exit code/i;

type Attributes = Record<string, string | number>;
type AddSpan = (name: string, startMs: number, endMs: number, attributes: Attributes) => void;

/** Ends of connections that their function should know of, and what to say. */
const CUT: Partial<Record<EgressEvent["verdict"], string>> = {
  bytes_limit: "It had carried as many bytes as a call may send and receive (SANDPIPER_EGRESS_MAX_BYTES).",
  tenant_bytes:
    "The tenant's connections have carried as many bytes as they may in an hour (SANDPIPER_EGRESS_MAX_TENANT_BYTES_PER_HOUR).",
  relay_died: "Sandpiper's relay ended and is started anew; the function is not to blame. Connect again.",
};

/** Refusals of one request, whose connection was made and may go on. */
const OF_REQUESTS: ReadonlySet<EgressEvent["verdict"]> = new Set([
  "client_tls_failed",
  "malformed_request",
  "method_refused",
  "path_refused",
  "upgrade_refused",
  "wrong_host",
]);

export class EgressReport {
  readonly #tenant: string;
  readonly #log: CallLog;
  readonly #addSpan: AddSpan | null;
  readonly #told = new Set<string>();
  /** Connections that are open, by their numbers, with the time of their beginning. */
  readonly #open = new Map<number, EgressEvent>();
  /** Connections that were told of as kept. */
  readonly #kept = new Set<number>();
  #spans = 0;
  readonly #records: ConnectionRecord[] = [];
  /** Connections beyond those that are recorded. */
  #more = 0;
  #isSettled = false;
  /** Resolves when all has been told that the call had; null until it is over. */
  #allTold: Promise<void> | null = null;
  /** Resolves with the next end of a connection. */
  #nextEnd = Promise.withResolvers<void>();
  #relayDied = false;
  #inherits = false;

  /**
   * @param tenant whose function it is
   * @param addSpan null when nobody would see spans
   */
  constructor(tenant: string, log: CallLog, addSpan: AddSpan | null) {
    this.#tenant = tenant;
    this.#log = log;
    this.#addSpan = addSpan;
  }

  /** Takes what happened to a connection that began in the call. */
  hear(event: EgressEvent): void {
    if (event.kind === "opened") this.#open.set(event.id, event);
    else if (event.kind === "kept") this.#keep(event);
    else if (event.kind === "closed") this.#closed(event);
    else this.#refused(event);
  }

  /** Connections that began before the call may serve it. */
  inherit(): void {
    this.#inherits = true;
  }

  /** Such a connection broke because the relay, or a part of it, ended. */
  lose(): void {
    this.#relayDied = true;
    this.#nextEnd.resolve();
    this.#nextEnd = Promise.withResolvers();
  }

  /**
   * Whether connections of the call broke because the relay ended. Its end is known a little later
   * than the function sees it, so a failure that may come of that waits for word of it.
   * @param words of the failure
   */
  async relayDied(words: string): Promise<boolean> {
    const nextEnd = this.#nextEnd.promise;
    const hasConnections = this.#inherits || this.#open.size > 0;
    if (!this.#relayDied && hasConnections && BROKEN.test(words)) await settledWithin(WORD_MS, nextEnd);
    return this.#relayDied;
  }

  /**
   * The call is over. Word of what it closed last is on its way, and of what the connections have
   * carried that stay open; those that no word came of are told of without that.
   */
  end(told: Promise<void>): void {
    this.#allTold = told.then(() => this.#tellKept());
  }

  /** Whether the call is over in a sandbox that may connect to something. */
  get isOver(): boolean {
    return this.#allTold !== null;
  }

  /** All connections of the call, once it is over; undefined when it had none. Never rejects. */
  async account(): Promise<CallEgress | undefined> {
    await this.#allTold;
    if (this.#records.length === 0) return undefined;
    return { connections: this.#records.toSorted((a, b) => a.startedAtMs - b.startedAtMs), more: this.#more };
  }

  #tellKept(): void {
    this.#isSettled = true;
    const nowMs = Date.now();
    for (const event of this.#open.values()) {
      this.#tell({ ...event, durationMs: nowMs - event.atMs + event.durationMs, atMs: nowMs }, "kept");
    }
  }

  #keep(event: EgressEvent): void {
    if (this.#isSettled || !this.#open.delete(event.id)) return;
    this.#kept.add(event.id);
    this.#tell(event, "kept");
  }

  #closed(event: EgressEvent): void {
    const { verdict } = event;
    this.#open.delete(event.id);
    if (verdict === "relay_died") this.#relayDied = true;
    this.#nextEnd.resolve();
    this.#nextEnd = Promise.withResolvers();
    // One that was kept was told of already.
    if (!this.#isSettled && !this.#kept.delete(event.id)) this.#tell(event, verdict);
    const why = CUT[verdict];
    if (why !== undefined) this.#say(`The connection to ${hostOf(event)} was cut. ${why}`);
  }

  #refused(event: EgressEvent): void {
    const { verdict, remedy = "", untold = 0 } = event;
    const host = hostOf(event);
    if (verdict === "relay_died") this.#relayDied = true;
    this.#tell(event, verdict);
    this.#more += untold;
    const what = OF_REQUESTS.has(verdict) ? `A request to ${host} was refused` : `${host} was not reached`;
    this.#say(`${what} (${verdict}). ${this.#adviceOf(event) ?? remedy}`.trimEnd());
    if (untold > 0) this.#say(`${untold} more connections were refused.`);
  }

  #tell(event: EgressEvent, verdict: string): void {
    if (this.#records.length < MAX_CONNECTION_RECORDS) this.#records.push(recordOf(event, verdict));
    else this.#more += 1;
    this.#span(event, verdict);
  }

  #span(event: EgressEvent, verdict: string): void {
    this.#spans += 1;
    if (this.#addSpan === null || this.#spans > MAX_SPANS) return;
    const { atMs, durationMs, port, address, bytesUp, bytesDown } = event;
    const name = nameOf(event);
    this.#addSpan(`egress ${name}`, atMs - durationMs, atMs, {
      "sandpiper.egress.host": name,
      ...(port > 0 && { "network.peer.port": port }),
      ...(address !== null && { "network.peer.address": address }),
      "sandpiper.egress.bytes_up": bytesUp,
      "sandpiper.egress.bytes_down": bytesDown,
      "sandpiper.egress.verdict": verdict,
    });
  }

  /** Advice where the manifest or a grant is to be changed; the relay knows nothing of these. */
  #adviceOf(event: EgressEvent): string | null {
    const { verdict, address } = event;
    if (verdict === "private_address" && address !== null)
      return privateAddressAdvice(this.#tenant, event.name, address);
    if (!["undeclared_name", "undeclared_port", "undeclared_address"].includes(verdict)) return null;
    const rule = hostOf(event).replace(/:443$/, "");
    const port = event.port === 0 ? ", with its port after a ':' unless that is 443" : "";
    return `It is not declared: add "${rule}" to "egress" in sandpiper.jsonc${port}.`;
  }

  /** Says it once, and not for ever. */
  #say(text: string): void {
    if (this.#told.has(text) || this.#told.size > MAX_LINES) return;
    this.#told.add(text);
    const isLast = this.#told.size > MAX_LINES;
    this.#log.say("warn", isLast ? "[more of its connections were refused or cut]" : text);
  }
}

function recordOf(event: EgressEvent, verdict: string): ConnectionRecord {
  const { atMs, durationMs, port, address, bytesUp, bytesDown } = event;
  return {
    host: nameOf(event),
    ...(port > 0 && { port }),
    ...(address !== null && { address }),
    ...{ bytesUp, bytesDown },
    startedAtMs: Math.round(atMs - durationMs),
    durationMs: Math.round(durationMs * 1_000) / 1_000,
    verdict,
  };
}

function nameOf({ name, address }: EgressEvent): string {
  return (name ?? address ?? "an address").slice(0, MAX_NAME_LENGTH);
}

/** The host as a rule of `egress` names it; a lookup has no port. */
function hostOf(event: EgressEvent): string {
  return event.port === 0 ? nameOf(event) : `${nameOf(event)}:${event.port}`;
}
