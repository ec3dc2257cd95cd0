/**
 * The pool: a worker's sandboxes, and who may use which.
 *
 * A sandbox is blank until a version is loaded into it; from then on it is an instance, and it serves that version of
 * that tenant only, until it ends. A call that finds no free instance of its version waits, and one is started for it.
 * Whichever comes first serves it: an instance that another call gave back, or the new one. When there is no room
 * the instance that was idle longest makes some, and the call that waited longest gets it.
 */
import type { Version } from "../../functions/model/version.ts";
import { CALLS_PER_INSTANCE } from "../instance/instance.ts";
import { CallFailure } from "../outcome/outcome.ts";
import { Capacity } from "./capacity.ts";
import type { Lease, LeaseEnd } from "./lease.ts";
import type { PoolOptions } from "./options.ts";
import { type Place, Places } from "./places.ts";
import type { Loaded } from "./pooled-instance.ts";
import { type Shelf, Shelves, shortestLine } from "./pooled-version.ts";
import { Blanks } from "./prewarmed.ts";
import { Starter } from "./starter.ts";
import { Upkeep } from "./upkeep.ts";
import { type Demand, shuttingDown, Waiter } from "./waiting-call.ts";
import { isSettling, mostStarts, nextMean, PATIENCE_MS, shouldLineUp, shouldWait } from "./when-to-start.ts";
import { type Origin, sharedOrigin } from "./zygote-key.ts";

/** What the pool holds right now. */
export interface PoolSnapshot {
  sandboxes: number;
  memoryBytes: number;
  blank: number;
  starting: number;
  busy: number;
  free: number;
  waiting: number;
}

/** How often an instance may serve its own version again, or be started, while an older call of another wants the place. */
const MOST_TIMES_PASSED_OVER = 32;
const MIB = 1024 * 1024;

export class Pool {
  readonly #options: PoolOptions;
  readonly #capacity: Capacity;
  readonly #places: Places;
  readonly #blanks: Blanks;
  readonly #starter: Starter;
  /** The origin whose blanks are for whoever comes; none where tenants share no zygotes. */
  readonly #prewarmed: Origin | null;
  readonly #shelves = new Shelves();
  readonly #loadedIn = new Map<Place, Loaded>();
  /** Oldest first, over all versions. */
  readonly #waiting = new Map<Waiter, Shelf>();
  readonly #upkeep: Upkeep;
  /** The oldest call that cannot be served for want of room. */
  #starved: Waiter | null = null;
  #patience: NodeJS.Timeout | null = null;
  #starting = 0;
  #busy = 0;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#capacity = new Capacity(options.limits);
    this.#places = new Places({
      capacity: this.#capacity,
      launchers: options.launchers,
      limitsOf: options.limitsOf,
      onGone: (place) => this.#gone(place),
      onStuck: options.onTrouble,
    });
    this.#blanks = new Blanks({
      places: this.#places,
      wanted: ({ key }) => Math.min(options.prewarmed, key === this.#prewarmed?.key ? Infinity : 1),
      isCalm: () => this.#busy + this.#starting + this.#waiting.size === 0,
      isShort: () => this.#waiting.size > 0,
      onReady: () => this.#pump(),
      onTrouble: options.onTrouble,
    });
    this.#starter = new Starter({ pool: options, places: this.#places, blanks: this.#blanks });
    this.#prewarmed = options.zygotes === "shared" ? sharedOrigin(options.prewarmedMemoryMiB) : null;
    if (this.#prewarmed) this.#blanks.use(this.#prewarmed);
    const { launchers, idleMs } = options;
    const [shelves, blanks, places, kept] = [this.#shelves, this.#blanks, this.#places, this.#prewarmed?.key];
    this.#upkeep = new Upkeep({ shelves, blanks, places, launchers, idleMs, kept });
  }

  /** Resolves when the blank sandboxes that should be ready are ready, or cannot be made now. */
  async prewarm(): Promise<void> {
    await this.#blanks.filled();
  }

  /**
   * The use of an instance of that version for one call; end it with `release` or `discard`.
   * @throws CallFailure when the version cannot be loaded, no sandbox can be made, or the time is over.
   */
  async acquire(demand: Demand): Promise<Lease> {
    this.#checkAdmissible(demand.version);
    const shelf = this.#shelves.of(demand.version);
    const found = shelf.waiting.size === 0 ? this.#find(shelf, demand) : undefined;
    if (found !== undefined) return this.#lease(shelf, found, demand);
    const waiter = new Waiter(demand, (over) => this.#forget(over));
    shelf.waiting.add(waiter);
    this.#waiting.set(waiter, shelf);
    this.#pump();
    return waiter.served;
  }

  /** How many calls this worker can have in hand at once, when they are of the class that most functions use. */
  get size(): number {
    const { maxSandboxes, memoryBudgetBytes } = this.#options.limits;
    const byMemory = Math.floor(memoryBudgetBytes / (this.#options.prewarmedMemoryMiB * MIB));
    return Math.max(1, Math.min(maxSandboxes, byMemory)) * CALLS_PER_INSTANCE;
  }

  snapshot(): PoolSnapshot {
    return {
      sandboxes: this.#capacity.sandboxes,
      memoryBytes: this.#capacity.memoryBytes,
      blank: this.#blanks.count,
      starting: this.#starting,
      busy: this.#busy,
      free: this.#shelves.freeCount,
      waiting: this.#waiting.size,
    };
  }

  /** Keeps nothing of an origin whose zygote leaves but what serves a call; that ends with its call. */
  leave(key: string): void {
    this.#upkeep.leave(key);
  }

  /** Ends every sandbox and fails every call that waits; resolves when all of it is gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#upkeep.stop();
    if (this.#patience !== null) clearTimeout(this.#patience);
    for (const waiter of this.#waiting.keys()) waiter.fail(shuttingDown());
    this.#options.launchers.stop();
    await this.#blanks.close();
    await this.#places.endAll("the worker is shutting down");
    await this.#options.launchers.close();
  }

  #checkAdmissible({ config }: Version): void {
    if (this.#closed) throw shuttingDown();
    if (this.#capacity.canEverFit(config.memoryMiB * MIB)) return;
    const message =
      `The function wants ${config.memoryMiB} MiB, more than this worker has for all sandboxes. ` +
      "Lower memoryMiB in sandpiper.jsonc, or raise SANDPIPER_MEMORY_BUDGET_BYTES.";
    throw new CallFailure("platform_error", "SANDBOX_UNAVAILABLE", message);
  }

  /**
   * Starts what the waiting calls need, oldest first. What becomes free is for the first that finds no room; for a while
   * those behind it may have what is too little for it.
   */
  #pump(): void {
    this.#starved = null;
    if (this.#closed) return;
    const seen = new Map<Shelf, number>();
    for (const [waiter, shelf] of this.#waiting) {
      const found = this.#find(shelf, waiter.demand);
      if (found !== undefined) {
        waiter.serve(this.#lease(shelf, found, waiter.demand));
        continue;
      }
      const before = seen.get(shelf) ?? 0;
      seen.set(shelf, before + 1);
      if (before < shelf.starting + shelf.renewing || shelf.starting >= mostStarts(shelf)) continue;
      if (this.#hasPatience(shelf, waiter, before)) continue;
      if (this.#isHeldUp(waiter, this.#begin(shelf, waiter))) return;
    }
    if (this.#starved === null) this.#blanks.refill();
  }

  /** Notes whether a call's start has begun; true when nothing more may begin before a call that waits for room. */
  #isHeldUp(waiter: Waiter, isBegun: boolean): boolean {
    if (this.#starved === null && !isBegun) this.#starved = waiter;
    else if (this.#starved !== null && isBegun) this.#starved.timesPassedOver += 1;
    return this.#starved !== null && this.#starved.timesPassedOver > MOST_TIMES_PASSED_OVER;
  }

  /** Whether a call does better to wait for one of the instances there are, with so many calls before it. */
  #hasPatience(shelf: Shelf, waiter: Waiter, before: number): boolean {
    const instances = shelf.instances + shelf.starting;
    const waitedMs = performance.now() - waiter.sinceMs;
    const isHungry = shelf.appetite.isHungry(Array.from(shelf.leased, ({ place }) => place.sandbox));
    const queueing = { instances, before, waitedMs, meanCallMs: shelf.meanCallMs, isHungry };
    if (!isSettling(shelf) && !shouldWait(queueing)) return false;
    this.#patience ??= setTimeout(() => {
      this.#patience = null;
      this.#pump();
    }, PATIENCE_MS);
    return true;
  }

  /** Begins to start an instance for a call; false when there is no room for it, and then room is being made for the first. */
  #begin(shelf: Shelf, { demand }: Waiter): boolean {
    const way = this.#starter.reserve(shelf, demand.version);
    if (way === null) {
      if (this.#starved === null) this.#makeRoom(demand.version.config.memoryMiB);
      return false;
    }
    shelf.starting += 1;
    this.#starting += 1;
    this.#starter.start(shelf, demand, way).then(
      (loaded) => this.#started(shelf, loaded),
      (error) => this.#startFailed(shelf, error),
    );
    return true;
  }

  #started(shelf: Shelf, loaded: Loaded): void {
    shelf.starting -= 1;
    this.#starting -= 1;
    this.#loadedIn.set(loaded.place, loaded);
    shelf.instances += 1;
    shelf.loading = { endedAtMs: performance.now(), tookMs: loaded.startMs };
    this.#offer(loaded);
  }

  #startFailed(shelf: Shelf, error: unknown): void {
    shelf.starting -= 1;
    this.#starting -= 1;
    const [waiter] = shelf.waiting;
    if (waiter !== undefined) waiter.fail(error);
    else if (!this.#closed) this.#options.onTrouble("a start that no call waits for any more failed", error);
    this.#shelves.forgetIfEmpty(shelf);
    this.#pump();
  }

  /** Gives an instance to the call that should have it next, or puts it on its shelf. */
  #offer(loaded: Loaded): void {
    const shelf = this.#shelves.withKey(loaded.key);
    const [next] = shelf.waiting;
    shelf.offeredAtMs = performance.now();
    if (!loaded.usable) this.#places.end(loaded.place, "it is no longer usable");
    else if (next !== undefined && !this.#mustMakeWay(shelf)) next.serve(this.#lease(shelf, loaded, next.demand));
    else shelf.free.push(loaded.shelved());
    this.#shelves.forgetIfEmpty(shelf);
    this.#pump();
  }

  /** Whether an older call of another version has waited for room long enough. */
  #mustMakeWay(shelf: Shelf): boolean {
    if (this.#starved === null || shelf.waiting.has(this.#starved)) return false;
    if (this.#places.willFit(this.#starved.demand.version.config.memoryMiB)) return false;
    this.#starved.timesPassedOver += 1;
    return this.#starved.timesPassedOver > MOST_TIMES_PASSED_OVER;
  }

  #takeFree(shelf: Shelf): Loaded | undefined {
    for (let loaded = shelf.free.pop(); loaded !== undefined; loaded = shelf.free.pop()) {
      if (loaded.usable) return loaded;
      this.#places.end(loaded.place, "it is no longer usable");
    }
    return undefined;
  }

  /** An instance for a call: a free one, or one that will soon have done what it has. */
  #find(shelf: Shelf, { mayShare }: Demand): Loaded | undefined {
    const free = this.#takeFree(shelf);
    if (free !== undefined || !mayShare || shelf.leased.size === 0) return free;
    // An instance that never becomes free could not make way for a call that has no room.
    if (this.#starved !== null) return undefined;
    const found = shortestLine(shelf);
    if (found === undefined) return undefined;
    const [instances, ahead] = [shelf.instances + shelf.starting, found.leases];
    return shouldLineUp({ instances, ahead, meanCallMs: shelf.meanCallMs }) ? found : undefined;
  }

  #lease(shelf: Shelf, loaded: Loaded, { mayShare }: Demand): Lease {
    if (loaded.leases === 0) {
      this.#busy += 1;
      shelf.leased.add(loaded);
    }
    return loaded.lease(mayShare, (end) => this.#leaseEnded(loaded, end));
  }

  #leaseEnded(loaded: Loaded, { discardedFor, tookMs }: LeaseEnd): void {
    const shelf = this.#shelves.withKey(loaded.key);
    if (tookMs !== null) shelf.meanCallMs = nextMean(shelf.meanCallMs, tookMs);
    if (discardedFor !== null) this.#places.end(loaded.place, discardedFor);
    if (loaded.leases > 0) {
      if (shelf.waiting.size > 0) this.#pump();
      return;
    }
    void (loaded.isToBeRenewed ? this.#renew(shelf, loaded) : this.#becameFree(shelf, loaded));
  }

  /** Has a template fork for the next call, as soon as nothing is left of the last. */
  async #renew(shelf: Shelf, loaded: Loaded): Promise<void> {
    shelf.renewing += 1;
    await loaded.renew().catch((error: Error) => this.#places.end(loaded.place, error.message));
    shelf.renewing -= 1;
    this.#becameFree(shelf, loaded);
  }

  #becameFree(shelf: Shelf, loaded: Loaded): void {
    this.#busy -= 1;
    shelf.leased.delete(loaded);
    this.#offer(loaded);
  }

  /** Ends blank sandboxes of other classes, then instances, longest idle first, until enough is on its way out. */
  #makeRoom(memoryMiB: number): void {
    while (!this.#places.willFit(memoryMiB)) {
      const victim = this.#blanks.takeAny() ?? this.#shelves.takeLongestIdle();
      if (victim === undefined) return;
      this.#places.end(victim, "its place is needed");
    }
  }

  #gone(place: Place): void {
    const loaded = this.#loadedIn.get(place);
    this.#loadedIn.delete(place);
    this.#blanks.drop(place);
    if (loaded === undefined) this.#shelves.removeTemplatePlace(place);
    else this.#shelves.remove(loaded);
    loaded?.templatePlace?.left();
    this.#pump();
  }

  #forget(waiter: Waiter): void {
    this.#waiting.delete(waiter);
    const shelf = this.#shelves.of(waiter.demand.version);
    shelf.waiting.delete(waiter);
    this.#shelves.forgetIfEmpty(shelf);
    // Whoever comes next may fit where this one did not.
    if (this.#starved === waiter) queueMicrotask(() => this.#pump());
  }
}
