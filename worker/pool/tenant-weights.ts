/**
 * Shares the processors by tenants. The kernel shares them by sandboxes, so a tenant with a hundred
 * busy ones would have a hundred times as much as a neighbour with one. A sandbox belongs to nobody
 * when its control group is made, and moving it into a group of its tenant would make the kernel
 * wait; so the sandboxes of a tenant divide the weight of one among them instead.
 *
 * A weight says how much a sandbox gets, and not how soon. So sandboxes of a tenant that burns
 * processors (see burners.ts) run only while nobody else wants to, for as long as it does; where
 * several tenants burn, those have small weights.
 */
import { USUAL_WEIGHT } from "../../functions/model/tenants.ts";
import type { AllSandboxes, Sandbox } from "../../sandbox-core/index.ts";
import { Burners } from "./burners.ts";
import { wantedMs } from "./cpu-pressure.ts";

const LOOK_MS = 250;
/** The part of its weight that each of several tenants has that burn processors. */
const BURNING_PART = 0.16;
/** A sandbox that runs or wants to run for this part of the time is hungry. */
const HUNGRY_SHARE = 0.5;
/** Where all sandboxes use less than this part of the processors, nobody burns any. */
const CALM_SHARE = 1 / 4;

type Weighed = Pick<Sandbox, "pid" | "usage" | "setCpuWeight" | "setCpuIdle">;

/** A sandbox with a version in it, and whose. */
export interface OwnedSandbox {
  readonly tenant: string;
  readonly sandbox: Weighed;
}

/** The machine as its sandboxes use it: how much, and whether they yield to everything else. */
export type MachineProcessors = Pick<AllSandboxes, "processors" | "look" | "setYielding" | "stopYielding">;

/** The sandboxes of a worker with a version in them: those that serve calls now, and all. */
export interface OwnedSandboxes {
  busy(): Iterable<OwnedSandbox>;
  all(): Iterable<OwnedSandbox>;
}

export interface TenantWeightsOptions {
  machine?: MachineProcessors;
  tenants?: { weightOf(tenant: string): number };
}

export class TenantWeights {
  readonly #sandboxes: OwnedSandboxes;
  readonly #machine: MachineProcessors | undefined;
  readonly #burners: Burners;
  readonly #timer: NodeJS.Timeout;
  readonly #weightOfTenant: (tenant: string) => number;
  #atMs = performance.now();
  /** How long each had wanted to run at the last look, and what it weighs if not as usual. */
  #wantedMs = new Map<Weighed, number>();
  readonly #weights = new Map<Weighed, number>();
  /** Processor time that each had used at the last look; null: it was not looked at. */
  #usedMs: Map<Weighed, number> | null = null;
  /** Processor time since then of sandboxes that have ended, by tenant. */
  #endedMs = new Map<string, number>();
  #idle = new Set<Weighed>();

  /**
   * Looks four times a second from now on.
   * @param options.machine without it, nobody is taken to burn processors
   * @param options.tenants have the weight of a tenant's sandboxes together; a sandbox that nobody
   * weighed has the usual one
   */
  constructor(sandboxes: OwnedSandboxes, { machine, tenants }: TenantWeightsOptions = {}) {
    this.#sandboxes = sandboxes;
    this.#machine = machine;
    this.#weightOfTenant = (tenant) => tenants?.weightOf(tenant) ?? USUAL_WEIGHT;
    const partOf = (tenant: string) => this.#weightOfTenant(tenant) / USUAL_WEIGHT;
    this.#burners = new Burners(machine?.processors ?? 0, partOf);
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#machine?.stopYielding();
  }

  /** Gives each sandbox its weight: less where others of its tenant are hungry, too. */
  look(): void {
    const elapsedMs = performance.now() - this.#atMs;
    this.#atMs += elapsedMs;
    if (this.#machine !== undefined) this.#lookForBurners(this.#machine, elapsedMs);
    const hungry = this.#hungry(elapsedMs);
    const weights = new Map(
      [...hungry].flatMap(([tenant, some]) => some.map((one) => [one, this.#weightOf(tenant, some.length)])),
    );
    for (const one of this.#weights.keys()) if (!weights.has(one)) this.#weigh(one, USUAL_WEIGHT);
    for (const [one, weight] of weights) this.#weigh(one, weight);
  }

  /** A sandbox of a tenant is there, or has one of its forks take the next call. */
  started({ tenant, sandbox }: OwnedSandbox): void {
    if (this.#isIdle(tenant)) this.#setOneIdle(sandbox);
  }

  /** A sandbox of a tenant serves no more calls: its processor time counts still. */
  ended({ tenant, sandbox }: OwnedSandbox): void {
    if (this.#usedMs === null) return;
    const usedMs = sandbox.usage().cpuMs - (this.#usedMs.get(sandbox) ?? 0);
    this.#usedMs.delete(sandbox);
    addTo(this.#endedMs, tenant, usedMs);
  }

  #lookForBurners(machine: MachineProcessors, elapsedMs: number): void {
    const { bySandboxes, byOthers } = machine.look();
    // Whoever burns has little while others want much, and must not be forgotten for that.
    const isCalm = this.#burners.count === 0 && bySandboxes < CALM_SHARE * machine.processors;
    const used = this.#used(!isCalm, elapsedMs);
    const own = [...used.values()].reduce((sum, one) => sum + one, 0);
    // Tenants of other workers are not known here, so they are taken to be like these.
    const part = own === 0 ? 0 : own / Math.max(bySandboxes, own);
    const left = Math.max(0, machine.processors - byOthers);
    this.#burners.look(used, { all: machine.processors * part, left: left * part });
    machine.setYielding(this.#burners.count > 0);
    if (this.#burners.count + this.#idle.size > 0) this.#setIdle();
  }

  /** Has the sandboxes of a tenant that burns wait for all others. */
  #setIdle(): void {
    const before = this.#idle;
    this.#idle = new Set();
    for (const { tenant, sandbox } of this.#sandboxes.all()) {
      if (!this.#isIdle(tenant)) before.has(sandbox) && sandbox.setCpuIdle(false);
      else if (before.has(sandbox)) this.#idle.add(sandbox);
      else this.#setOneIdle(sandbox);
    }
  }

  /** Idle groups have no weights, by which several tenants that burn would share what is left. */
  #isIdle(tenant: string): boolean {
    return this.#burners.count === 1 && this.#burners.has(tenant);
  }

  #setOneIdle(sandbox: Weighed): void {
    this.#weights.delete(sandbox);
    this.#idle.add(sandbox);
    sandbox.setCpuIdle(true);
  }

  /** How many processors each tenant used since the last look, as far as it was looked. */
  #used(counts: boolean, elapsedMs: number): Map<string, number> {
    const [before, usedMs] = [this.#usedMs, this.#endedMs];
    this.#endedMs = new Map();
    this.#usedMs = counts ? new Map() : null;
    for (const { tenant, sandbox } of counts ? this.#sandboxes.all() : []) {
      const { cpuMs } = sandbox.usage();
      this.#usedMs?.set(sandbox, cpuMs);
      if (before !== null) addTo(usedMs, tenant, cpuMs - (before.get(sandbox) ?? 0));
    }
    return new Map([...usedMs].map(([tenant, ms]) => [tenant, ms / Math.max(1, elapsedMs)]));
  }

  /** The sandboxes that want to run, tenant by tenant. */
  #hungry(elapsedMs: number): Map<string, Weighed[]> {
    const before = this.#wantedMs;
    this.#wantedMs = new Map();
    const hungry = new Map<string, Weighed[]>();
    for (const { tenant, sandbox } of this.#sandboxes.busy()) {
      if (this.#idle.has(sandbox)) continue;
      const ranMs = wantedMs(sandbox.pid);
      this.#wantedMs.set(sandbox, ranMs);
      if (ranMs - (before.get(sandbox) ?? ranMs) < HUNGRY_SHARE * elapsedMs) continue;
      const others = hungry.get(tenant);
      if (others === undefined) hungry.set(tenant, [sandbox]);
      else others.push(sandbox);
    }
    return hungry;
  }

  /** By powers of two, as writing weights is work for the kernel. */
  #weightOf(tenant: string, count: number): number {
    const together = this.#weightOfTenant(tenant) * (this.#burners.has(tenant) ? BURNING_PART : 1);
    return Math.max(1, Math.round(together / 2 ** Math.ceil(Math.log2(count))));
  }

  #weigh(sandbox: Weighed, weight: number): void {
    if ((this.#weights.get(sandbox) ?? USUAL_WEIGHT) === weight) return;
    sandbox.setCpuWeight(weight);
    if (weight === USUAL_WEIGHT) this.#weights.delete(sandbox);
    else this.#weights.set(sandbox, weight);
  }
}

function addTo(sums: Map<string, number>, key: string, amount: number): void {
  sums.set(key, (sums.get(key) ?? 0) + amount);
}
