/**
 * Messages between a relay of egress and whoever holds sandboxes: lines of JSON over one socket.
 * Descriptors go over a second socket, each sandbox's in one message of eight bytes, and before the
 * line that tells of them.
 */
import type { EgressEvent, EgressPolicy } from "../contract/egress.ts";

/** The relay's ends. */
export const RELAY_CONTROL_FD = 3;
export const RELAY_DESCRIPTORS_FD = 4;
/** A message with descriptors: the sandbox's number. */
export const RELAY_MESSAGE_BYTES = 8;

/** A question of life to a relay or an injector, and its answer. */
export type Ping = { op: "ping" };
export type Pong = { is: "pong" };

/** A host of the platform's own, which no sandbox reaches, whatever it declares. */
export interface PlatformHost {
  /** An address or a name. */
  host: string;
  port: number;
}

/** Limits of each tenant at one relay, all of its sandboxes together; none where one is missing. */
export interface TenantLimits {
  /** Most connections at once. */
  connections?: number;
  connectionsPerSecond?: number;
  /** Most bytes in an hour, both ways together. */
  bytesPerHour?: number;
}

/** The options of a relay, its one argument. */
export interface RelayOptions {
  /** The host user that it becomes, and the group of that number. */
  uid: number;
  platform: readonly PlatformHost[];
  /** Names that it knows without asking, as in hosts(5). */
  hostsFile: string;
  /** Asked for all others; those of the host's resolv.conf(5) unless given. */
  nameServers?: readonly string[];
  /** Its network namespace as a path, unless it is that of whoever starts it. */
  networkNamespace?: string;
  /** Most connections at once, of all sandboxes. */
  connections: number;
  tenantLimits: TenantLimits;
  /** Most handshakes of TLS in a second that the injector is asked for by one tenant. */
  handshakesPerSecond: number;
  /** After so long without a byte a connection is ended. */
  idleMs: number;
}

/** A policy without what is injected, which the relay does not know. */
export interface RelayedPolicy extends Omit<EgressPolicy, "injections"> {
  /** Names whose connections on 443 go through the injector. */
  injected: readonly string[];
}

export type RelayRequest =
  /** Both ends of a link to an injector came (protocol/injector.ts). */
  | { op: "link" }
  | { op: "open"; sandbox: number; policy: RelayedPolicy; ports: readonly number[]; calls: readonly string[] }
  | { op: "began"; sandbox: number; call: string }
  /** Answered as `flush` is. */
  | { op: "ended"; sandbox: number; call: string; close: boolean; flush: number }
  | { op: "close"; sandbox: number }
  /** Answered when all that was told before has been sent. */
  | { op: "flush"; flush: number };

export type RelayResponse =
  | { is: "ready" }
  | { is: "event"; sandbox: number; event: EgressEvent }
  | { is: "flushed"; flush: number };
