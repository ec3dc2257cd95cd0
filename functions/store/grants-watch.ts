/** The grants of tenants, remembered while their changes can be heard. */
import type { Redis } from "ioredis";
import { type EgressGrants, NO_GRANTS } from "../model/egress-grants.ts";
import { Announcements } from "../redis/announcements.ts";
import { GRANT_CHANGES, grantsOf } from "./egress-grants.ts";

/** A change that was never heard does harm for so long at most. */
const LOOK_MS = 10_000;

/** Remembers the grants of the tenants that were asked for, and tells when they change. */
export class GrantsWatch {
  readonly #redis: Redis;
  readonly #announcements: Announcements;
  readonly #onChange: (tenant: string, grants: EgressGrants) => void;
  readonly #known = new Map<string, EgressGrants>();
  readonly #timer: NodeJS.Timeout;
  #isListening = false;

  /**
   * @param redis must be patient: it waits for Redis when that is away
   * @param onChange told of new grants of a tenant that was asked for
   */
  constructor(redis: Redis, onChange: (tenant: string, grants: EgressGrants) => void) {
    this.#redis = redis;
    this.#onChange = onChange;
    this.#announcements = new Announcements(redis, GRANT_CHANGES, {
      heard: (tenant) => void this.#look(tenant),
      listening: () => {
        this.#isListening = true;
        void this.#lookAtAll();
      },
      away: () => {
        this.#isListening = false;
      },
    });
    this.#timer = setInterval(() => void this.#lookAtAll(), LOOK_MS).unref();
  }

  /** A tenant's grants. Rejects when they are not known and Redis refuses to tell them. */
  async of(tenant: string): Promise<EgressGrants> {
    const known = this.#isListening ? this.#known.get(tenant) : undefined;
    return known ?? (await this.#read(tenant));
  }

  close(): void {
    clearInterval(this.#timer);
    this.#announcements.close();
  }

  async #lookAtAll(): Promise<void> {
    await Promise.all([...this.#known.keys()].map((tenant) => this.#look(tenant)));
  }

  /** Reads again what a tenant has; what cannot be read now is read by the next look. */
  async #look(tenant: string): Promise<void> {
    if (this.#known.has(tenant)) await this.#read(tenant).catch(() => {});
  }

  async #read(tenant: string): Promise<EgressGrants> {
    const grants = await grantsOf(this.#redis, tenant);
    const before = this.#known.get(tenant);
    this.#known.set(tenant, grants);
    if (before !== undefined && !areSame(before, grants)) this.#onChange(tenant, grants);
    return grants;
  }
}

function areSame(one: EgressGrants, other: EgressGrants): boolean {
  const text = ({ allow, deny, private: ranges }: EgressGrants) => JSON.stringify([allow, deny, ranges]);
  return one === other || text(one) === text({ ...NO_GRANTS, ...other });
}
