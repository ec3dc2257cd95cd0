/**
 * The relay of egress for whoever holds sandboxes. Its process is started with the first sandbox
 * that needs it. The holder keeps a descriptor of each socket, so that nothing of a sandbox's is
 * lost when the process dies: connections that are made meanwhile wait for the next one.
 */
import { closeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { EgressEvent, EgressPolicy, EgressSockets, SandboxEgress, SandboxInjector } from "../contract/egress.ts";
import type { EgressRelaying } from "../contract/egress-relay.ts";
import { SandboxError } from "../contract/error.ts";
import type { ForkableSandbox } from "../contract/sandbox.ts";
import type {
  PlatformHost,
  RelayedPolicy,
  RelayOptions,
  RelayRequest,
  RelayResponse,
  TenantLimits,
} from "../protocol/egress.ts";
import { EgressInjector } from "./egress-injector.ts";
import { socketsOf } from "./egress-policy.ts";
import { EgressProcess } from "./egress-process.ts";

export interface EgressRelaySettings {
  /** The host user that the process becomes; nobody else's. `RELAY_UID` unless given. */
  uid?: number;
  /** The user of the injector's process. `INJECTOR_UID` unless given. */
  injectorUid?: number;
  /** A file of certificates of issuers of hosts that are injected for, beside the system's. */
  caFile?: string;
  /** Hosts of the platform's own, refused whatever is declared and granted. */
  platform?: readonly PlatformHost[];
  /** Names that are known without asking, as in hosts(5): /etc/hosts unless given. */
  hostsFile?: string;
  /** Name servers with or without a port, those of the host unless given. */
  nameServers?: readonly string[];
  /** The network that it connects to, as the path of a namespace; the caller's own unless given. */
  networkNamespace?: string;
  /** Most connections at once, of all sandboxes: 2,048 unless given. */
  connections?: number;
  /** Of each tenant, all of its sandboxes together; none unless given. */
  tenantLimits?: TenantLimits;
  /**
   * Most connections in a second of one tenant's that go through the injector, as each costs it two
   * handshakes of TLS: 100 unless given.
   */
  handshakesPerSecond?: number;
  /** After so long without a byte a connection is ended; ten minutes unless given. */
  idleMs?: number;
  /** Told when the process died, or cannot be started again yet. */
  onTrouble?: (message: string, cause: unknown) => void;
}

/** Beside the users of boxes' sandboxes, whose block begins behind it. */
const RELAY_UID = 1_099_999_999;
const INJECTOR_UID = 1_099_999_998;
const DEFAULT_CONNECTIONS = 2_048;
const DEFAULT_HANDSHAKES = 100;
const DEFAULT_IDLE_MS = 600_000;
const [FIRST_RETRY_MS, LONGEST_RETRY_MS] = [50, 2_000];
/** A process that hangs keeps nobody waiting for longer. */
const LONGEST_FLUSH_MS = 2_000;
/** After two processes in a row that died sooner, the next one is started after a pause. */
const SHORT_LIFE_MS = 2_000;

/** A sandbox that has egress, as it has to be told to each process that serves it. */
interface Served {
  policy: RelayedPolicy;
  injector: SandboxInjector | null;
  fds: readonly number[];
  ports: readonly number[];
  calls: Set<string>;
  /** Connections that were told to be open, by their ids. */
  open: Map<number, EgressEvent>;
  onEvent: (event: EgressEvent) => void;
}

export class EgressRelay implements EgressRelaying {
  readonly #options: RelayOptions;
  readonly #onTrouble: NonNullable<EgressRelaySettings["onTrouble"]>;
  readonly #injector: EgressInjector;
  readonly #served = new Map<number, Served>();
  readonly #closing = new AbortController();
  #process: EgressProcess<RelayRequest, RelayResponse> | undefined;
  /** The start that goes on. */
  #starting: Promise<void> | undefined;
  #startedMs = Number.NEGATIVE_INFINITY;
  #shortLives = 0;
  #lastNumber = 0;
  /** Waiters until all that happened has been told, in order. */
  readonly #flushes = new Map<number, () => void>();

  constructor(settings: EgressRelaySettings = {}) {
    const { uid = RELAY_UID, platform = [], hostsFile = "/etc/hosts", tenantLimits = {} } = settings;
    const { connections = DEFAULT_CONNECTIONS, idleMs = DEFAULT_IDLE_MS, nameServers, networkNamespace } = settings;
    this.#options = {
      uid,
      platform,
      hostsFile,
      connections,
      tenantLimits,
      handshakesPerSecond: settings.handshakesPerSecond ?? DEFAULT_HANDSHAKES,
      idleMs,
      ...(nameServers && { nameServers }),
      ...(networkNamespace !== undefined && { networkNamespace }),
    };
    this.#onTrouble = settings.onTrouble ?? (() => undefined);
    const { injectorUid = INJECTOR_UID, caFile } = settings;
    this.#injector = new EgressInjector({ uid: injectorUid, ...(caFile !== undefined && { caFile }) }, (reason) =>
      this.#onTrouble(`${reason}; connections that it had were reset`, new SandboxError(reason)),
    );
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /**
   * Starts its process ahead of the first sandbox.
   * @throws SandboxError when it cannot be started
   */
  async start(): Promise<void> {
    if (this.#closing.signal.aborted) throw new SandboxError("the relay of egress is closed");
    if (!this.#process) await this.#start();
  }

  socketsOf(policy: EgressPolicy): EgressSockets {
    return socketsOf(policy);
  }

  async open(
    sandbox: ForkableSandbox,
    policy: EgressPolicy,
    onEvent: (event: EgressEvent) => void,
  ): Promise<SandboxEgress> {
    const sockets = socketsOf(policy);
    await this.start();
    const { injections = [], ...more } = policy;
    const injector = injections.length === 0 ? null : await this.#injector.start(() => this.#link());
    const fds = await sandbox.openEgressSockets(sockets);
    const number = ++this.#lastNumber;
    const relayed: RelayedPolicy = { ...more, injected: injections.map(({ name }) => name) };
    if (injector !== null) this.#injector.open(number, injections);
    const served: Served = {
      policy: relayed,
      injector,
      fds,
      ports: sockets.ports,
      calls: new Set(),
      open: new Map(),
      onEvent,
    };
    this.#served.set(number, served);
    this.#handOver(number, served);
    void sandbox.exited.then(() => this.#forget(number));
    return this.#handleOf(number, served);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const number of [...this.#served.keys()]) this.#forget(number);
    await this.#starting?.catch(() => undefined);
    await Promise.all([this.#process?.stop(), this.#injector.close()]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #handleOf(sandbox: number, { calls, injector }: Served): SandboxEgress {
    return {
      injector,
      callBegan: (call) => {
        if (!this.#served.has(sandbox)) return;
        calls.add(call);
        this.#process?.send({ op: "began", sandbox, call });
      },
      callEnded: (call, { close }) =>
        calls.delete(call)
          ? this.#answered((flush) => ({ op: "ended", sandbox, call, close, flush }))
          : Promise.resolve(),
      told: () => this.#answered((flush) => ({ op: "flush", flush })),
    };
  }

  /** Sends what is answered, and resolves with that; all that was told before has come then. */
  #answered(request: (flush: number) => RelayRequest): Promise<void> {
    if (!this.#process) return Promise.resolve();
    const flush = ++this.#lastNumber;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#flushes.set(flush, resolve);
    this.#process.send(request(flush));
    const timer = setTimeout(() => this.#flushed(flush), LONGEST_FLUSH_MS);
    return promise.finally(() => clearTimeout(timer));
  }

  #flushed(flush: number): void {
    this.#flushes.get(flush)?.();
    this.#flushes.delete(flush);
  }

  #forget(sandbox: number): void {
    const served = this.#served.get(sandbox);
    if (!served) return;
    this.#process?.send({ op: "close", sandbox });
    if (served.injector !== null) this.#injector.forget(sandbox);
    for (const fd of served.fds) closeSync(fd);
    // What is still open is told by the process, or was lost with it.
    if (served.open.size === 0 || !this.#process) this.#served.delete(sandbox);
    else served.fds = [];
  }

  /** Connects the injector and the relay, when both serve. */
  #link(): void {
    const relay = this.#process;
    if (!relay) return;
    try {
      this.#injector.linkTo(relay);
    } catch (error) {
      this.#onTrouble("the relay of egress takes no link to the injector and is started again", error);
      void relay.stop();
    }
  }

  #handOver(sandbox: number, { policy, ports, calls, fds }: Served): void {
    const relay = this.#process;
    if (!relay) return;
    try {
      relay.sendSockets(sandbox, fds);
      relay.send({ op: "open", sandbox, policy, ports, calls: [...calls] });
    } catch (error) {
      // It does not read: the next one is handed all of them.
      this.#onTrouble("the relay of egress takes no sockets and is started again", error);
      void relay.stop();
    }
  }

  /** One start for all who wait for it. @throws SandboxError */
  #start(): Promise<void> {
    this.#starting ??= this.#startOnce().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #startOnce(): Promise<void> {
    const started = await EgressProcess.start<RelayRequest, RelayResponse>("relay", this.#options, {
      onWord: (word) => {
        if (word.is === "event") this.#hear(word.sandbox, word.event);
        if (word.is === "flushed") this.#flushed(word.flush);
      },
      onDeath: (reason) => this.#process && this.#recover(reason),
    });
    if (this.#closing.signal.aborted) {
      await started.stop();
      throw new SandboxError("the relay of egress is closed");
    }
    this.#process = started;
    this.#startedMs = performance.now();
    this.#link();
    for (const [sandbox, served] of this.#served) this.#handOver(sandbox, served);
  }

  #hear(sandbox: number, event: EgressEvent): void {
    const served = this.#served.get(sandbox);
    if (!served) return;
    if (event.kind === "opened") served.open.set(event.id, event);
    if (event.kind === "closed") served.open.delete(event.id);
    served.onEvent(event);
    if (served.fds.length === 0 && served.open.size === 0) this.#served.delete(sandbox);
  }

  /** After the death of the process: tells what was lost, and has the next one take over. */
  #recover(reason: string): void {
    this.#process = undefined;
    for (const flush of [...this.#flushes.keys()]) this.#flushed(flush);
    if (this.#closing.signal.aborted) return;
    for (const [sandbox, served] of this.#served) {
      for (const opened of served.open.values()) served.onEvent(lost(opened));
      served.open.clear();
      if (served.fds.length === 0) this.#served.delete(sandbox);
    }
    this.#onTrouble(`${reason}; connections were reset, and another one is started`, new SandboxError(reason));
    this.#shortLives = performance.now() - this.#startedMs < SHORT_LIFE_MS ? this.#shortLives + 1 : 0;
    void this.#startAgain(this.#shortLives > 1);
  }

  /** Never rejects. */
  async #startAgain(pauses: boolean): Promise<void> {
    const { signal } = this.#closing;
    if (pauses) await delay(LONGEST_RETRY_MS, undefined, { signal }).catch(() => undefined);
    for (let waitMs = FIRST_RETRY_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, LONGEST_RETRY_MS)) {
      try {
        return await this.#start();
      } catch (error) {
        if (signal.aborted) return;
        this.#onTrouble("the relay of egress cannot be started; trying again", error);
        await delay(waitMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }
}

/** The end of a connection whose relay is gone; how much it carried is not known. */
function lost(opened: EgressEvent): EgressEvent {
  const nowMs = Date.now();
  return { ...opened, kind: "closed", atMs: nowMs, durationMs: nowMs - opened.atMs, verdict: "relay_died" };
}
