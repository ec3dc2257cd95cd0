/** Which version a function runs, remembered so that a call reads nothing from Redis. */
import type { IncomingHttpHeaders } from "node:http";
import type { Redis } from "ioredis";
import { PREVIEW_SEPARATOR } from "../../functions/model/alias.ts";
import { Announcements } from "../../functions/redis/announcements.ts";
import { type FunctionRef, REGISTRY_CHANGES, type Registry } from "../../functions/store/registry.ts";
import { LruMap } from "../../infra/std/lru.ts";
import { type DomainRoutes, routesByDomain } from "./domain-routes.ts";
import { type CurrentVersion, chosen, type Routing, readPreview, readRouting } from "./routing.ts";
import { WatchTallies } from "./watch-tallies.ts";

interface Remembered {
  /** null: there is no such function. */
  current: Routing | null;
  untilMs: number;
}

/** A preview: an alias or a version of a function, which has a name of its own in URLs. */
interface RememberedPreview extends Remembered {
  /** The function whose changes it is forgotten with, as "tenant/function". */
  of: string;
}

/** Changes are announced; this only bounds how long one that was never heard can do harm. */
const REMEMBER_MS = 10_000;
/** Names that nobody has are asked for by whoever likes to: Redis need not answer each time. */
const REMEMBER_UNKNOWN_MS = 2_000;
const MAX_REMEMBERED = 10_000;
/** All of them are looked at when a function changes. */
const MAX_PREVIEWS = 1_000;

export class CurrentVersions {
  /** Calls of watched canaries. */
  readonly tallies = new WatchTallies();
  readonly #registry: Registry;
  readonly #announcements: Announcements;
  readonly #remembered = new LruMap<string, Remembered>(MAX_REMEMBERED);
  /** Apart, so that made-up names displace no function. */
  readonly #unknown = new LruMap<string, Remembered>(MAX_REMEMBERED);
  /** By tenant. */
  readonly #routes = new LruMap<string, { routes: DomainRoutes; untilMs: number }>(MAX_REMEMBERED);
  readonly #previews = new LruMap<string, RememberedPreview>(MAX_PREVIEWS);
  /**
   * Counts what was forgotten, so that a read that began before a change is not remembered after
   * it.
   */
  #changes = 0;
  #listening = false;

  /** @param redis says where Redis is; announcements come on a connection of their own. */
  constructor(redis: Redis, registry: Registry) {
    this.#registry = registry;
    this.#announcements = new Announcements(redis, REGISTRY_CHANGES, {
      heard: (name) => this.forget(name),
      listening: () => this.#listen(true),
      away: () => this.#listen(false),
    });
  }

  /**
   * The version that a call of a function gets, which may be named as a preview; null when there is
   * no such function. A promise only when Redis is asked.
   * @param ref `isPreview`: the name is a preview's, also where a function has that very name
   * @param headers the call's, which may decide between two versions
   */
  get(
    ref: FunctionRef & { isPreview?: boolean },
    headers: IncomingHttpHeaders = {},
  ): CurrentVersion | null | Promise<CurrentVersion | null> {
    const name = `${ref.tenant}/${ref.functionName}`;
    const nowMs = Date.now();
    if (ref.isPreview === true) return this.#preview(name, ref, headers, nowMs);
    const remembered = this.#remembered.get(name) ?? this.#unknown.get(name);
    if (remembered === undefined || remembered.untilMs <= nowMs) return this.#read(name, ref, headers);
    if (remembered.current !== null) return chosen(remembered.current, headers);
    // A function of that very name goes first.
    return ref.functionName.includes(PREVIEW_SEPARATOR) ? this.#preview(name, ref, headers, nowMs) : null;
  }

  /** The routes of a tenant's functions at its domains. A promise only when Redis is asked. */
  routesOf(tenant: string): DomainRoutes | Promise<DomainRoutes> {
    const remembered = this.#routes.get(tenant);
    return remembered !== undefined && remembered.untilMs > Date.now() ? remembered.routes : this.#readRoutes(tenant);
  }

  /** Forgets a function, given as "tenant/function", because it has changed. */
  forget(name: string): void {
    this.#changes++;
    this.#remembered.delete(name);
    this.#unknown.delete(name);
    this.#routes.delete(name.slice(0, name.indexOf("/")));
    for (const [preview, { of }] of this.#previews.entries()) if (of === name) this.#previews.delete(preview);
  }

  /** Forgets all functions, as any may have changed unheard. */
  forgetAll(): void {
    this.#changes++;
    this.#remembered.clear();
    this.#unknown.clear();
    this.#previews.clear();
    this.#routes.clear();
  }

  close(): void {
    this.#announcements.close();
  }

  async #readRoutes(tenant: string): Promise<DomainRoutes> {
    const before = this.#changes;
    const routes = routesByDomain(await this.#registry.routesOf(tenant));
    if (this.#listening && before === this.#changes) {
      this.#routes.set(tenant, { routes, untilMs: Date.now() + REMEMBER_MS });
    }
    return routes;
  }

  #preview(name: string, ref: FunctionRef, headers: IncomingHttpHeaders, nowMs: number) {
    const preview = this.#previews.get(name);
    if (preview === undefined || preview.untilMs <= nowMs) return this.#readPreview(name, ref, headers);
    return preview.current && chosen(preview.current, headers);
  }

  async #read(name: string, ref: FunctionRef, headers: IncomingHttpHeaders): Promise<CurrentVersion | null> {
    const before = this.#changes;
    const current = await readRouting(this.#registry, this.tallies, ref);
    if (this.#listening && before === this.#changes) this.#remember(name, current);
    if (current !== null) return chosen(current, headers);
    return ref.functionName.includes(PREVIEW_SEPARATOR) ? this.#readPreview(name, ref, headers) : null;
  }

  async #readPreview(name: string, ref: FunctionRef, headers: IncomingHttpHeaders): Promise<CurrentVersion | null> {
    const before = this.#changes;
    const { current, of } = await readPreview(this.#registry, this.tallies, ref);
    if (this.#listening && before === this.#changes) {
      const untilMs = Date.now() + (current === null ? REMEMBER_UNKNOWN_MS : REMEMBER_MS);
      this.#previews.set(name, { current, of, untilMs });
    }
    return current && chosen(current, headers);
  }

  #remember(name: string, current: Routing | null): void {
    const [names, forMs] = current ? [this.#remembered, REMEMBER_MS] : [this.#unknown, REMEMBER_UNKNOWN_MS];
    this.#remembered.delete(name);
    this.#unknown.delete(name);
    names.set(name, { current, untilMs: Date.now() + forMs });
  }

  /** Changes while nobody listened are unknown. */
  #listen(listening: boolean): void {
    this.#listening = listening;
    this.forgetAll();
  }
}
