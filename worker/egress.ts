/**
 * Gives sandboxes the outgoing connections that their versions declare and their tenants are
 * granted.
 */
import type { Redis } from "ioredis";
import { type EgressDefaults, type EgressGrants, readGrants } from "../functions/model/egress-grants.ts";
import type { Version } from "../functions/model/version.ts";
import { GrantsWatch } from "../functions/store/grants-watch.ts";
import type {
  EgressEvent,
  EgressInjection,
  EgressLimits,
  EgressPolicy,
  EgressRelaying,
  EgressSockets,
  ForkableSandbox,
} from "../sandbox-core/index.ts";
import type { VersionEnvironment } from "./code/environments.ts";
import { SandboxConnections } from "./instance/egress.ts";
import { policyOf, type RefusedRule } from "./instance/egress-policy.ts";
import type { CallLog } from "./outcome/call-log.ts";
import { EgressReport } from "./outcome/egress-report.ts";
import { CallFailure } from "./outcome/outcome.ts";

export interface EgressOptions {
  redis: Redis;
  /** Carries the traffic. */
  relay: EgressRelaying;
  defaults: EgressDefaults;
  limits: EgressLimits;
  /** Counts what becomes of connections. */
  onEvent(tenant: string, event: EgressEvent): void;
  onTrouble(message: string, cause: unknown): void;
}

/** One sandbox that has egress. */
interface Opened {
  version: Version;
  egress: SandboxConnections;
  /** The text of what it was opened with. */
  policy: string;
}

export class Egress {
  readonly #options: EgressOptions;
  readonly #grants: GrantsWatch;
  /** By tenant. */
  readonly #opened = new Map<string, Set<Opened>>();

  constructor(options: EgressOptions) {
    this.#options = options;
    this.#grants = new GrantsWatch(options.redis, (tenant, grants) => this.#changed(tenant, grants));
  }

  /**
   * The sockets that a sandbox needs which is made for this version; undefined when it declares
   * nothing.
   * @throws CallFailure EGRESS_UNAVAILABLE
   */
  async socketsOf(version: Version): Promise<EgressSockets | undefined> {
    if (!declaresEgress(version)) return undefined;
    try {
      const { policy } = this.#policyOf(version, await this.#grants.of(version.tenant));
      return this.#options.relay.socketsOf(policy);
    } catch (cause) {
      throw this.#unavailable(cause);
    }
  }

  /**
   * Opens what a version declares in a blank sandbox; null when it declares nothing.
   * @param log gets what happens until the version is loaded, and hears of rules out of force
   * @throws CallFailure EGRESS_UNAVAILABLE
   */
  async open(
    sandbox: ForkableSandbox,
    version: Version,
    { injections }: Pick<VersionEnvironment, "injections">,
    log: CallLog,
  ): Promise<SandboxConnections | null> {
    if (!declaresEgress(version)) return null;
    const { tenant } = version;
    const between = new EgressReport(tenant, log, null);
    const egress = new SandboxConnections(between, (reason) => sandbox.kill(reason));
    const hear = (event: EgressEvent) => {
      egress.hear(event);
      this.#options.onEvent(tenant, event);
    };
    try {
      const { policy, refused } = this.#policyOf(version, await this.#grants.of(tenant), injections);
      for (const rule of refused) log.say("warn", outOfForce(rule));
      egress.attach(await this.#options.relay.open(sandbox, policy, hear));
      this.#keep(sandbox, { version, egress, policy: textOf(policy) });
      return egress;
    } catch (cause) {
      throw this.#unavailable(cause);
    }
  }

  #unavailable(cause: unknown): CallFailure {
    this.#options.onTrouble("outgoing connections of a sandbox could not be set up", cause);
    return new CallFailure("platform_error", "EGRESS_UNAVAILABLE", undefined, cause);
  }

  /** Pid of the relay's process, while there is one. */
  get relayPid(): number | undefined {
    return this.#options.relay.pid;
  }

  /** Ends the relay, and with it every connection. */
  async close(): Promise<void> {
    this.#grants.close();
    await this.#options.relay.close();
  }

  #policyOf({ tenant, config }: Version, grants: EgressGrants, injections: readonly EgressInjection[] = []) {
    const { defaults, limits } = this.#options;
    return policyOf(config.egress ?? [], readGrants(tenant, grants, defaults), limits, injections);
  }

  #keep(sandbox: ForkableSandbox, opened: Opened): void {
    const { tenant } = opened.version;
    const all = this.#opened.get(tenant) ?? new Set();
    this.#opened.set(tenant, all.add(opened));
    void sandbox.exited.then(() => {
      all.delete(opened);
      if (all.size === 0 && this.#opened.get(tenant) === all) this.#opened.delete(tenant);
    });
  }

  /** Has those instances make way whose policy is another one now. */
  #changed(tenant: string, grants: EgressGrants): void {
    for (const { version, egress, policy } of this.#opened.get(tenant) ?? []) {
      if (textOf(this.#policyOf(version, grants).policy) !== policy)
        egress.becomeOutdated("what its tenant may connect to has changed");
    }
  }
}

function declaresEgress({ config }: Version): boolean {
  return config.egress !== undefined && config.egress.length > 0;
}

/** Grants are compared by this: not what is injected, which is secret, and changes by itself. */
function textOf({ injections: _, ...policy }: EgressPolicy): string {
  return JSON.stringify(policy);
}

function outOfForce({ rule, reason }: RefusedRule): string {
  return `egress: "${rule}" is out of force: ${reason}. Whoever operates Sandpiper grants it.`;
}
