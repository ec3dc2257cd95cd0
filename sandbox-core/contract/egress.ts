/**
 * Egress: which hosts a sandbox reaches besides itself, and what its holder hears of it.
 *
 * A sandbox has loopback alone. Egress gives it names and addresses that were declared, on ports
 * that were declared, over TCP. A relay outside of it resolves names, dials and passes bytes; the
 * sandbox holds nothing of the host's.
 */

/** Most different ports that a policy may name. */
export const MOST_EGRESS_PORTS = 64;
/** Most rules of a policy, and as many that deny. */
export const MOST_EGRESS_RULES = 256;

/** A host that is declared. */
export type EgressTarget =
  /** One name, in lower case without a final dot: `api.stripe.com`. */
  | { kind: "name"; name: string }
  /** Every name that ends so, with its first dot: `.amazonaws.com`; not the bare name itself. */
  | { kind: "suffix"; suffix: string }
  /** One address, as a function writes it: version 4 only. */
  | { kind: "address"; address: string }
  /** Every address of a network like `203.0.113.0/24`, of either version; in `deny` alone. */
  | { kind: "network"; network: string }
  /** Every name, and every address that is public. */
  | { kind: "public" };

export interface EgressRule {
  to: EgressTarget;
  /** In a rule that denies, none means every port. */
  ports: readonly number[];
}

/** Limits of one sandbox; every one at least 1. */
export interface EgressLimits {
  /** Most connections at once. */
  connections: number;
  connectionsPerSecond: number;
  /** Most bytes, both ways together, while a call runs; so many for each call when several run. */
  bytes: number;
}

/** Header fields of requests to one host, whose TLS ends in the injector that puts them in. */
export interface EgressInjection {
  /** A name of `rules`, on port 443. */
  name: string;
  /** Names in lower case, and values, which are secret. */
  headers: readonly (readonly [name: string, value: string])[];
  /** The only methods that pass; null: all. */
  methods: readonly string[] | null;
  /** Beginnings of the only paths that pass; null: all. */
  paths: readonly string[] | null;
}

/** A range that a name, or each name with a suffix, may lead into; nothing else opens it. */
export interface EgressPrivateName {
  to: Extract<EgressTarget, { kind: "name" | "suffix" }>;
  range: string;
}

export interface EgressPolicy {
  /** Whose traffic it is: tenants share the relay's connections fairly. */
  tenant: string;
  rules: readonly EgressRule[];
  /**
   * Ranges like `10.0.0.0/8` that are refused to others, loopback, private and the host's own
   * addresses among them, and may be reached by this sandbox where a rule declares the host.
   */
  privateRanges: readonly string[];
  /** Such ranges for certain names alone; none when missing. */
  privateNames?: readonly EgressPrivateName[];
  /** Win over `rules`. */
  deny: readonly EgressRule[];
  limits: EgressLimits;
  /** Hosts that TLS does not end at, but in the injector; none when missing. */
  injections?: readonly EgressInjection[];
}

/**
 * Why a connection or a lookup was refused, or how a connection ended.
 *
 * Refused: `undeclared_name`, `undeclared_port`, `undeclared_address`, `denied` (by a rule of
 * `deny`), `private_address` (all that the name resolves to is refused always), `reserved_port`
 * (25), `platform_address` (Redis, the gateway), `unresolved`, `unreachable` (nobody accepted the
 * connection), `no_server_name`, `wrong_server_name`, `encrypted_hello`, `no_tls` (something else
 * than a TLS hello on 443), `slow_hello`, `too_many_connections`, `connection_rate`, `relay_full`,
 * `bytes_used_up`; and of the tenant, with all of its sandboxes: `tenant_connections`,
 * `tenant_rate`, `tenant_bytes`, which ends open connections as well.
 * Of hosts that are injected for, also `invalid_certificate` (the host is not who
 * it should be), `host_tls_failed`, `client_tls_failed` (the function's client did not go on),
 * `relay_died` (with the injector), and of single requests `method_refused`, `path_refused`,
 * `wrong_host`, `upgrade_refused`, `malformed_request`.
 *
 * Ended: `ok`, `reset` (by either end), `idle`, `bytes_limit`, `call_ended`, `sandbox_ended`,
 * `relay_died`.
 */
export type EgressVerdict =
  | "ok"
  | "reset"
  | "idle"
  | "bytes_limit"
  | "call_ended"
  | "sandbox_ended"
  | "relay_died"
  | EgressRefusal;

export type EgressRefusal =
  | "undeclared_name"
  | "undeclared_port"
  | "undeclared_address"
  | "denied"
  | "private_address"
  | "reserved_port"
  | "platform_address"
  | "unresolved"
  | "unreachable"
  | "no_server_name"
  | "wrong_server_name"
  | "encrypted_hello"
  | "no_tls"
  | "slow_hello"
  | "too_many_connections"
  | "connection_rate"
  | "relay_full"
  | "bytes_used_up"
  | "tenant_connections"
  | "tenant_rate"
  | "tenant_bytes"
  | "relay_died"
  | "invalid_certificate"
  | "host_tls_failed"
  | "client_tls_failed"
  | "method_refused"
  | "path_refused"
  | "wrong_host"
  | "upgrade_refused"
  | "malformed_request";

/**
 * `opened`: connected to the host, verdict `ok`. `kept`: the call in which it was opened ended
 * well, and it is open still, with the bytes until then. `closed`: an opened connection ended.
 * `refused`: a lookup or a connection that never opened.
 */
export interface EgressEvent {
  kind: "opened" | "kept" | "closed" | "refused";
  /**
   * The same for a connection's `opened`, `kept` and `closed`; unique in the life of a relay's
   * holder.
   */
  id: number;
  /** The call that ran when it began; null when none did, or when several ran at once. */
  call: string | null;
  /** When this happened, as `Date.now()`. */
  atMs: number;
  /** Null for an address that no name was looked up for. Hostile when refused. */
  name: string | null;
  /** 0 for a lookup. */
  port: number;
  /** The address that was dialled. */
  address: string | null;
  bytesUp: number;
  bytesDown: number;
  durationMs: number;
  verdict: EgressVerdict;
  /** What to do, in one sentence for whoever wrote the function. */
  remedy?: string;
  /** Refusals of the sandbox that were not told since the last one, as there were too many. */
  untold?: number;
}

/** Routes of a network namespace to itself, and sockets in it that the relay serves. */
export interface EgressSockets {
  /** Whether every public address leads to the sockets, besides the block of stand-in addresses. */
  publicRoutes: boolean;
  /** Declared addresses of version 4, which lead to the sockets as well. */
  addresses: readonly string[];
  /** A TCP listener for each. */
  ports: readonly number[];
}

/** The injector that a sandbox's connections go through. */
export interface SandboxInjector {
  /** The certificate, as PEM, that clients in the sandbox are to trust. */
  caCertificate: string;
  /**
   * Resolves when it is gone. Another one has another certificate: hosts that are injected for are
   * out of the sandbox's reach from then on.
   */
  gone: Promise<unknown>;
}

/** The egress of one sandbox; safe to use after the sandbox's end, when it does nothing. */
export interface SandboxEgress {
  /** A call begins in the sandbox: say it before the call's first byte is sent there. */
  callBegan(call: string): void;
  /**
   * `close` ends the connections that were opened while this call ran alone. Resolves when all has
   * been told that the call had until then. Never rejects.
   */
  callEnded(call: string, end: { close: boolean }): Promise<void>;
  /** Resolves when all has been told that happened in the sandbox until now. Never rejects. */
  told(): Promise<void>;
  /** Of a policy with injections, else null. */
  readonly injector: SandboxInjector | null;
}
