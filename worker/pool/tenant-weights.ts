/**
 * Shares the processors by tenants. The kernel shares them by sandboxes, so a tenant with a hundred
 * busy ones would have a hundred times as much as a neighbour with one. A sandbox belongs to nobody
 * when its control group is made, and moving it into a group of its tenant would make the kernel
 * wait; so the sandboxes of a tenant divide the weight of one among them instead.
 */
import { USUAL_WEIGHT } from "../../functions/model/tenants.ts";
import type { Sandbox } from "../../sandbox-core/index.ts";
import { wantedMs } from "./cpu-pressure.ts";

const LOOK_MS = 250;
/** A sandbox that runs or wants to run for this part of the time is hungry. */
const HUNGRY_SHARE = 0.5;

type Weighed = Pick<Sandbox, "pid" | "setCpuWeight">;

/** A sandbox that serves calls, and whose. */
export interface BusySandbox {
  readonly tenant: string;
  readonly sandbox: Weighed;
}

export class TenantWeights {
  readonly #busy: () => Iterable<BusySandbox>;
  readonly #timer: NodeJS.Timeout;
  readonly #now: () => number;
  readonly #weightOf: (tenant: string) => number;
  #atMs: number;
  /** How long each had wanted to run at the last look, and what it weighs if not as usual. */
  #wantedMs = new Map<Weighed, number>();
  readonly #weights = new Map<Weighed, number>();

  /**
   * Looks four times a second from now on.
   * @param busy the sandboxes that serve calls now
   * @param weightOf the weight of a tenant's sandboxes together; a sandbox that nobody weighed has
   * the usual one
   */
  constructor(
    busy: () => Iterable<BusySandbox>,
    now: () => number = () => performance.now(),
    weightOf: (tenant: string) => number = () => USUAL_WEIGHT,
  ) {
    this.#busy = busy;
    this.#weightOf = weightOf;
    this.#now = now;
    this.#atMs = now();
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Gives each sandbox its weight: less where others of its tenant are hungry, too. */
  look(): void {
    const before = this.#wantedMs;
    const elapsedMs = this.#now() - this.#atMs;
    this.#atMs += elapsedMs;
    this.#wantedMs = new Map();
    const hungry = new Map<string, Weighed[]>();
    for (const { tenant, sandbox } of this.#busy()) {
      const ranMs = wantedMs(sandbox.pid);
      this.#wantedMs.set(sandbox, ranMs);
      if (ranMs - (before.get(sandbox) ?? ranMs) < HUNGRY_SHARE * elapsedMs) continue;
      const others = hungry.get(tenant);
      if (others === undefined) hungry.set(tenant, [sandbox]);
      else others.push(sandbox);
    }
    const weights = new Map(
      [...hungry].flatMap(([tenant, some]) => {
        const weight = shareOf(this.#weightOf(tenant), some.length);
        return some.map((one) => [one, weight] as const);
      }),
    );
    for (const one of this.#weights.keys()) if (!weights.has(one)) this.#weigh(one, USUAL_WEIGHT);
    for (const [one, weight] of weights) this.#weigh(one, weight);
  }

  #weigh(sandbox: Weighed, weight: number): void {
    if ((this.#weights.get(sandbox) ?? USUAL_WEIGHT) === weight) return;
    sandbox.setCpuWeight(weight);
    if (weight === USUAL_WEIGHT) this.#weights.delete(sandbox);
    else this.#weights.set(sandbox, weight);
  }
}

/** The weight of one of so many: by powers of two, as writing weights is work for the kernel. */
function shareOf(weight: number, count: number): number {
  return Math.max(1, Math.round(weight / 2 ** Math.ceil(Math.log2(count))));
}
