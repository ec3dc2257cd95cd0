/**
 * The outgoing connections of one sandbox, which an instance has, and forks of it share: which call
 * each of them belongs to.
 */
import type { EgressEvent, SandboxEgress } from "../../sandbox-core/index.ts";

/** Hears of connections. */
export interface EgressListener {
  hear(event: EgressEvent): void;
  /** Nothing that comes later is part of the call. */
  end(): void;
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
  /** Whether its tenant is granted something else since it was opened: no further call begins. */
  isOutdated = false;
  readonly #endSandbox: (reason: string) => void;
  /** The calls that run, and a few that have ended; by invocation. */
  readonly #calls = new Map<string, EgressListener>();
  readonly #ended: string[] = [];
  #running = 0;
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
  }

  /** The version is loaded: from now on another one hears of what belongs to no call. */
  loaded(between: EgressListener): void {
    this.#between = between;
  }

  /** A call begins; say it before the sandbox hears of the call. */
  began({ request: { invocationId }, egress }: OfCall): void {
    this.#running += 1;
    if (egress !== undefined) this.#calls.set(invocationId, egress);
    this.#relay?.callBegan(invocationId);
  }

  /** @param close whether the connections are closed that were opened in it */
  ended({ request: { invocationId }, egress }: OfCall, { close }: { close: boolean }): void {
    this.#running -= 1;
    this.#relay?.callEnded(invocationId, { close });
    egress?.end();
    if (egress !== undefined) this.#remember(invocationId);
    if (this.isOutdated) this.#endWhenUnused();
  }

  /** Ends the sandbox as soon as no call runs in it. */
  becomeOutdated(): void {
    this.isOutdated = true;
    this.#endWhenUnused();
  }

  /** Takes what the relay tells. */
  hear(event: EgressEvent): void {
    const listener = event.call === null ? undefined : this.#calls.get(event.call);
    (listener ?? this.#between).hear(event);
  }

  /** Word of its last connections comes after its end. */
  #remember(invocationId: string): void {
    this.#ended.push(invocationId);
    if (this.#ended.length > MAX_ENDED) this.#calls.delete(this.#ended.shift() ?? "");
  }

  #endWhenUnused(): void {
    if (this.#running === 0) this.#endSandbox("what its tenant may connect to has changed");
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
