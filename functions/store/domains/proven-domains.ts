/** The proven domains of all tenants, remembered by a gateway so that a request asks nobody. */
import type { Redis } from "ioredis";
import { Announcements } from "../../redis/announcements.ts";
import { type BoundDomain, boundOf, DOMAIN_CHANGES, PROVEN, REVISION } from "./domains.ts";

/** A change that was never heard does harm for so long at most. */
const LOOK_MS = 10_000;
/** Pause before what could not be read is read again. */
const RETRY_MS = 250;

export class ProvenDomains {
  readonly #redis: Redis;
  readonly #announcements: Announcements;
  readonly #onChange: () => void;
  readonly #timer: NodeJS.Timeout;
  #retry: NodeJS.Timeout | null = null;
  #isClosed = false;
  #bound = new Map<string, BoundDomain>();
  /** The changes that are known of: those that were read, and those that were heard since. */
  #revision = -1;

  /**
   * @param redis answers reads, in the order in which it is asked; announcements come on a
   * connection of their own
   * @param onChange told when the meaning of names may have changed
   * @param lookMs how often to ask unasked whether a change was missed
   */
  constructor(redis: Redis, onChange: () => void, lookMs = LOOK_MS) {
    this.#redis = redis;
    this.#onChange = onChange;
    this.#announcements = new Announcements(redis, DOMAIN_CHANGES, {
      heard: (name) => {
        this.#revision++;
        void this.refresh(name).catch(() => this.#readLater());
      },
      listening: () => this.look(),
    });
    this.#timer = setInterval(() => this.#compare(), lookMs).unref();
  }

  /** The target of a name, given in lower case and without the dot of the root. */
  get(name: string): BoundDomain | undefined {
    return this.#bound.get(name);
  }

  /** Reads all of them now. Rejects when Redis does not answer. */
  async read(): Promise<void> {
    // No transaction: a Redis that takes no writes refuses it. The count is read first, so that a
    // change in between is one that is looked for.
    const [revision, stored] = await Promise.all([this.#redis.get(REVISION), this.#redis.hgetall(PROVEN)]);
    this.#revision = Number(revision ?? 0);
    this.#bound = new Map(Object.entries(stored).map(([name, text]) => [name, boundOf(text)]));
    this.#onChange();
  }

  /** Reads one of them now. Rejects when Redis does not answer. */
  async refresh(name: string): Promise<void> {
    const text = await this.#redis.hget(PROVEN, name);
    if (text === null) this.#bound.delete(name);
    else this.#bound.set(name, boundOf(text));
    this.#onChange();
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#announcements.close();
  }

  /** Reads all of them, now or as soon as Redis answers. */
  look(): void {
    void this.read().catch(() => this.#readLater());
  }

  /** Reads all when there were changes that nobody heard of. */
  #compare(): void {
    this.#redis.get(REVISION).then(
      (revision) => {
        if (Number(revision ?? 0) !== this.#revision) this.look();
      },
      () => this.#readLater(),
    );
  }

  /** The connection for reads may be back later than the one for announcements. */
  #readLater(): void {
    if (this.#isClosed || this.#retry !== null) return;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.look();
    }, RETRY_MS).unref();
  }
}
