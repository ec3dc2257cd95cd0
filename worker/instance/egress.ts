/**
 * The outgoing connections of one sandbox, which an instance has, and forks of it share: which call
 * each of them belongs to.
 */
import type { EgressEvent, SandboxEgress } from "../../sandbox-core/index.ts";

/** Hears of connections. */
export interface EgressListener {
  hear(event: EgressEvent): void;
  /** Connections that began before it may serve it. */
  inherit(): void;
  /** Such a connection broke because the relay, or a part of it, ended. */
  lose(): void;
  /**
   * The call is over.
   * @param told resolves when all has been heard of its connections
   */
  end(told: Promise<void>): void;
}

/** A call as it is told to the relay. */
interface OfCall {
  request: { invocationId: string };
  egress?: EgressListener;
}

interface RunningCall {
  readonly input: OfCall;
  readonly isCancelled: boolean;
}

/** Most calls that have ended and are remembered for what is still on its way of them. */
const MAX_ENDED = 8;

/** All connections of one sandbox. */
export class SandboxConnections {
  /** Whether it was opened with what does not hold any more: no further call begins. */
  isOutdated = false;
  readonly #endSandbox: (reason: string) => void;
  /** The calls that run, and a few that have ended; by invocation. */
  readonly #calls = new Map<string, EgressListener>();
  readonly #ended: string[] = [];
  /** Connections that are open, by their numbers. */
  readonly #open = new Set<number>();
  #running = 0;
  /** Why it is outdated. */
  #reason = "";
  #relay: SandboxEgress | null = null;
  /** Hears of what began while no call ran, or several did. */
  #between: EgressListener;

  /** @param endSandbox ends the sandbox, at once */
  constructor(between: EgressListener, endSandbox: (reason: string) => void) {
    this.#between = between;
    this.#endSandbox = endSandbox;
  }

  /** From now on calls are told to the relay. */
  attach(relay: SandboxEgress): void {
    this.#relay = relay;
    const { injector } = relay;
    void injector?.gone.then(() => this.becomeOutdated("what its connections went through has ended"));
  }

  /** The certificate, as PEM, that its code is to trust; null when nothing is injected. */
  get caCertificate(): string | null {
    return this.#relay?.injector?.caCertificate ?? null;
  }

  /** The version is loaded: from now on another one hears of what belongs to no call. */
  loaded(between: EgressListener): void {
    this.#between = between;
  }

  /** A call begins; say it before the sandbox hears of the call. */
  began({ request: { invocationId }, egress }: OfCall): void {
    this.#running += 1;
    if (egress !== undefined) this.#calls.set(invocationId, egress);
    if (this.#open.size > 0) egress?.inherit();
    this.#relay?.callBegan(invocationId);
  }

  /** @param close whether the connections are closed that were opened in it */
  ended({ request: { invocationId }, egress }: OfCall, { close }: { close: boolean }): void {
    this.#running -= 1;
    const told = this.#relay?.callEnded(invocationId, { close });
    egress?.end(told ?? Promise.resolve());
    if (egress !== undefined) this.#remember(invocationId);
    if (this.isOutdated) this.#endWhenUnused();
  }

  /** Ends the sandbox as soon as no call runs in it. */
  becomeOutdated(reason: string): void {
    this.isOutdated = true;
    this.#reason = reason;
    this.#endWhenUnused();
  }

  /** Takes what the relay tells. */
  hear(event: EgressEvent): void {
    const listener = event.call === null ? undefined : this.#calls.get(event.call);
    if (event.kind === "opened") this.#open.add(event.id);
    if (event.kind === "closed") this.#open.delete(event.id);
    (listener ?? this.#between).hear(event);
    if (event.verdict === "relay_died") for (const other of this.#calls.values()) other.lose();
  }

  /** Word of its last connections comes after its end. */
  #remember(invocationId: string): void {
    this.#ended.push(invocationId);
    if (this.#ended.length > MAX_ENDED) this.#calls.delete(this.#ended.shift() ?? "");
  }

  #endWhenUnused(): void {
    if (this.#running === 0) this.#endSandbox(this.#reason);
  }
}

/** The part that one instance has in its sandbox's connections. */
export class InstanceConnections {
  readonly ofSandbox: SandboxConnections;
  /** The call that they belong to now. */
  #call: RunningCall | null = null;

  constructor(ofSandbox: SandboxConnections) {
    this.ofSandbox = ofSandbox;
  }

  get isOutdated(): boolean {
    return this.ofSandbox.isOutdated;
  }

  /** The certificate, as PEM, that its code is to trust; null when nothing is injected. */
  get caCertificate(): string | null {
    return this.ofSandbox.caCertificate;
  }

  /** A call begins; say it before the sandbox hears of the call. */
  began(call: RunningCall): void {
    this.#call = call;
    this.ofSandbox.began(call.input);
  }

  /** The call that ran has ended, or will not begin. Those of a cancelled one are closed always. */
  ended({ close } = { close: false }): void {
    const call = this.#call;
    this.#call = null;
    if (call !== null) this.ofSandbox.ended(call.input, { close: close || call.isCancelled });
  }
}
