/** One sandbox whose sockets the relay serves: its names, its listeners and its connections. */
import { createServer, type Server, type Socket } from "node:net";
import type { EgressEvent, EgressRefusal } from "../contract/egress.ts";
import type { RelayedPolicy } from "../protocol/egress.ts";
import { AddressGuard } from "./addresses.ts";
import { CallBudget } from "./call-budget.ts";
import type { InjectorLink } from "./injector-link.ts";
import { answerAddress, answerNothing, type NameQuestion, RCODE, readQuestion } from "./name-message.ts";
import { NameSocket } from "./name-socket.ts";
import { PassingSocket } from "./passing-socket.ts";
import type { PlatformHosts } from "./platform-hosts.ts";
import { Refusals } from "./refusals.ts";
import { type Destination, RelayedConnection, type Surroundings } from "./relayed-connection.ts";
import { remedyOf } from "./remedies.ts";
import { reset } from "./reset.ts";
import type { Names } from "./resolver.ts";
import { Rules } from "./rules.ts";
import { Rate } from "./shares.ts";
import { isStandIn, StandIns } from "./stand-ins.ts";
import type { Tenants } from "./tenants.ts";

/** A resolver inside may use an answer for so long; the address stands for the name for longer. */
const TTL_S = 60;
/** Connections that a listener's queue holds while the relay is busy. */
const BACKLOG = 128;

/** The parts that all sandboxes of the relay have in common. */
export interface RelayParts {
  names: Names;
  platform: PlatformHosts;
  tenants: Tenants;
  /** To the injector, once there is one. */
  link: () => InjectorLink | null;
  nextId: () => number;
}

export interface ServedSandboxOptions {
  /** Its number. */
  sandbox: number;
  policy: RelayedPolicy;
  calls: readonly string[];
  /** The socket for names, and the listeners. */
  fds: readonly number[];
  parts: RelayParts;
  tell: (event: EgressEvent) => void;
}

export class ServedSandbox {
  readonly #policy: RelayedPolicy;
  readonly #parts: RelayParts;
  readonly #around: Surroundings;
  readonly #calls: CallBudget;
  readonly #rules: Rules;
  readonly #rate: Rate;
  readonly #standIns = new StandIns();
  readonly #names: NameSocket;
  readonly #listeners: Server[];
  readonly #connections = new Set<RelayedConnection>();

  /** @throws Error when the policy is none, or the sockets are none */
  constructor({ sandbox, policy, calls, fds: [names = -1, ...listeners], parts, tell }: ServedSandboxOptions) {
    this.#policy = policy;
    this.#parts = parts;
    this.#calls = new CallBudget(policy.limits.bytes, calls);
    this.#rules = new Rules(policy);
    this.#rate = new Rate(policy.limits.connectionsPerSecond);
    const refusals = new Refusals(tell);
    this.#around = {
      policy,
      rules: this.#rules,
      guard: new AddressGuard(policy.privateRanges, policy.privateNames),
      calls: this.#calls,
      names: parts.names,
      platform: parts.platform,
      tenants: parts.tenants,
      carry: ({ id, name }, onRefused) => {
        if (!parts.tenants.tryHandshake(policy.tenant)) return "connection_rate";
        return parts.link()?.carry({ id, sandbox, name }, onRefused) ?? "relay_died";
      },
      nextId: parts.nextId,
      tell: (event) => (event.kind === "refused" ? refusals.tell(event) : tell(event)),
    };
    this.#names = new NameSocket(names, (message) => this.#answer(message));
    this.#listeners = listeners.map((fd) => this.#listen(fd));
  }

  began(call: string): void {
    this.#calls.began(call);
  }

  ended(call: string, close: boolean): void {
    this.#calls.ended(call);
    for (const connection of this.#connections) {
      if (connection.call !== call) continue;
      if (close) connection.end("call_ended");
      else connection.tellKept();
    }
  }

  endIdle(idleMs: number): void {
    for (const connection of this.#connections)
      if (connection.isOpen && connection.idleMs >= idleMs) connection.end("idle");
  }

  close(): void {
    this.#names.close();
    for (const listener of this.#listeners) listener.close();
    for (const connection of this.#connections) connection.end("sandbox_ended");
  }

  #answer(message: Buffer): Buffer | null {
    const question = readQuestion(message);
    if (question === null) return null;
    if ("refusal" in question) return question.refusal;
    const refusal = this.#rules.refuseLookup(question.name);
    if (refusal === null && !question.wantsAddress) return answerNothing(question, RCODE.NONE);
    if (refusal === null) return answerAddress(question, this.#standIns.addressOf(question.name), TTL_S);
    this.#tellLookup(question, refusal);
    return answerNothing(question, RCODE.NO_SUCH_NAME);
  }

  #tellLookup({ name }: NameQuestion, refusal: EgressRefusal): void {
    if (name.endsWith(".in-addr.arpa") || name.endsWith(".ip6.arpa")) return;
    this.#tellRefusal({ name, address: null, port: 0 }, refusal);
  }

  #listen(fd: number): Server {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
    // The kernel's error of a connection that is gone already, or a want of descriptors: the next
    // one is accepted all the same.
    server.on("error", () => undefined);
    server.on("connection", (socket) => this.#accept(socket));
    server.listen({ fd, backlog: BACKLOG });
    return server;
  }

  #accept(socket: Socket): void {
    const { localAddress: address = "", localPort: port = 0 } = socket;
    const name = this.#standIns.nameOf(address) ?? null;
    const to: Destination = { name, address: name === null ? address : null, port };
    const refusal = this.#refuse(to) ?? this.#admit();
    if (refusal !== null) {
      this.#tellRefusal(to, refusal);
      socket.on("error", () => undefined);
      reset(socket);
      return;
    }
    const connection = new RelayedConnection(PassingSocket.of(socket), to, this.#around);
    this.#connections.add(connection);
    void connection.run().finally(() => {
      this.#connections.delete(connection);
      this.#parts.tenants.release(this.#policy.tenant);
    });
  }

  #refuse({ name, address, port }: Destination): EgressRefusal | null {
    if (name !== null) return this.#rules.refuseName(name, port);
    if (address === null || isStandIn(address)) return "undeclared_address";
    return this.#rules.refuseAddress(address, port);
  }

  /** Takes a place for one more connection, which is to be released; or says why there is none. */
  #admit(): EgressRefusal | null {
    if (!this.#calls.hasBytes) return "bytes_used_up";
    if (this.#connections.size >= this.#policy.limits.connections) return "too_many_connections";
    if (!this.#rate.tryTake()) return "connection_rate";
    return this.#parts.tenants.tryTake(this.#policy.tenant);
  }

  #tellRefusal({ name, address, port }: Destination, verdict: EgressRefusal): void {
    this.#around.tell({
      kind: "refused",
      id: this.#parts.nextId(),
      call: this.#calls.only,
      atMs: Date.now(),
      name,
      port,
      address,
      bytesUp: 0,
      bytesDown: 0,
      durationMs: 0,
      verdict,
      remedy: remedyOf(verdict, name ?? address ?? "", port),
    });
  }
}
