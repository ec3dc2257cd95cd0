/**
 * The pool: a worker's sandboxes, and who may use which.
 *
 * A sandbox is blank until a version is loaded into it; from then on it is an instance, and it
 * serves that version of that tenant only, until it ends. A call that finds no free instance of its
 * version waits, and one is started for it. Whichever comes first serves it: an instance that
 * another call gave back, or the new one. When there is no room the instance that was idle longest
 * makes some, and the call that waited longest gets it.
 */
import type { Version } from "../../functions/model/version.ts";
import { MIB } from "../../infra/std/bytes.ts";
import { Capacity } from "./capacity.ts";
import { OwnPressure } from "./cpu-pressure.ts";
import type { InstanceLease, LeaseEnd } from "./instance-lease.ts";
import { Lease } from "./lease.ts";
import type { PoolOptions, PoolSnapshot } from "./options.ts";
import type { Place, Places } from "./places.ts";
import type { PooledInstance } from "./pooled-instance.ts";
import { nextTurn, type PooledVersion, PooledVersions, QueueLook, spareOf } from "./pooled-version.ts";
import type { Prewarmed } from "./prewarmed.ts";
import { Supply } from "./supply.ts";
import { TenantRoom } from "./tenant-room.ts";
import { TenantWeights } from "./tenant-weights.ts";
import { type Demand, refuseIfOver, shuttingDown, tooLarge, Waiter } from "./waiting-call.ts";
import { nextInTurn, WaitingCalls } from "./waiting-calls.ts";
import { WarmInstances } from "./warm-instances.ts";
import { mostStarts, nextMean, WAIT_MS } from "./when-to-start.ts";

export class Pool {
  /** Instances that stay, however idle. */
  readonly warm: WarmInstances;
  readonly #options: PoolOptions;
  readonly #capacity: Capacity;
  readonly #places: Places;
  readonly #prewarmed: Prewarmed;
  readonly #supply: Supply;
  readonly #pooledVersions = new PooledVersions();
  readonly #pooledIn = new Map<Place, PooledInstance>();
  readonly #waiting = new WaitingCalls();
  readonly #rooms: TenantRoom;
  readonly #pressure = new OwnPressure();
  readonly #weights: TenantWeights;
  #waitTimer: NodeJS.Timeout | null = null;
  #starting = 0;
  #busy = 0;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#capacity = new Capacity(options.limits);
    const start = (demand: Demand) => this.#startAhead(demand);
    this.warm = new WarmInstances({ ...options, pooledVersions: this.#pooledVersions, start });
    const kept = () => this.warm.idle();
    this.#rooms = new TenantRoom({
      limits: options.limits,
      kept,
      tenants: options.tenants,
      lookAgain: () => this.#pump(),
    });
    this.#weights = new TenantWeights(this.#pooledVersions, options);
    this.#supply = new Supply(options, {
      capacity: this.#capacity,
      pooledVersions: this.#pooledVersions,
      isCalm: () => this.#busy + this.#starting + this.#waiting.count === 0,
      isShort: () => this.#waiting.count > 0,
      onReady: () => this.#pump(),
      onGone: (place) => this.#gone(place),
    });
    ({ places: this.#places, prewarmed: this.#prewarmed } = this.#supply);
  }

  /** Resolves when the blank sandboxes that should be ready are ready, or cannot be made now. */
  async prewarm(): Promise<void> {
    await this.#prewarmed.filled();
  }

  /**
   * The use of an instance of that version for one call; end it with `release` or `discard`.
   * @throws CallFailure when it cannot be loaded, no sandbox can be made, or its time is over.
   */
  acquire(demand: Demand): Promise<Lease> {
    return Lease.open(demand, (again) => this.#acquire(again));
  }

  async #acquire(demand: Demand): Promise<InstanceLease> {
    refuseIfOver(demand);
    this.#checkAdmissible(demand.version);
    const pooledVersion = this.#pooledVersions.of(demand.version);
    const found = pooledVersion.waiting.size === 0 ? this.#find(pooledVersion, demand) : undefined;
    if (found !== undefined) return this.#lease(pooledVersion, found, demand);
    const waiter = new Waiter(demand, (over) => this.#forget(over));
    const { served } = waiter;
    this.#waiting.add(waiter, pooledVersion);
    this.#pump();
    return served;
  }

  /** How many calls of the class that most functions use this worker can have in hand at once. */
  get size(): number {
    return this.#capacity.most(this.#options.prewarmedMemoryMiB * MIB);
  }

  snapshot(): PoolSnapshot {
    return {
      sandboxes: this.#capacity.sandboxes,
      memoryBytes: this.#capacity.memoryBytes,
      blank: this.#prewarmed.count,
      starting: this.#starting,
      busy: this.#busy,
      free: this.#pooledVersions.freeCount,
      waiting: this.#waiting.count,
      ...this.warm.counts(),
    };
  }

  /** Memory of all sandboxes now, read from their control groups. */
  memoryBytes(): number {
    return this.#places.memoryBytes();
  }

  /** Keeps nothing of a zygote that leaves but what serves a call; that ends with its call. */
  leave(key: string): void {
    this.#supply.upkeep.leave(key);
  }

  /** Ends what serves no call and is outdated now; what serves one ends with its calls. */
  endOutdated(): void {
    this.#supply.upkeep.endOutdated();
  }

  /** Ends every sandbox and fails every call that waits; resolves when all of it is gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#supply.upkeep.stop();
    this.#weights.stop();
    if (this.#waitTimer !== null) clearTimeout(this.#waitTimer);
    this.#waiting.failAll(shuttingDown());
    this.#options.zygotes.stop();
    await this.#prewarmed.close();
    await this.#places.endAll("the worker is shutting down");
    await this.#options.zygotes.close();
  }

  #checkAdmissible({ config }: Version): void {
    if (this.#closed) throw shuttingDown();
    if (!this.#capacity.canEverFit(config.memoryMiB * MIB)) throw tooLarge(config.memoryMiB);
  }

  /**
   * Starts what the waiting calls need, oldest first. What becomes free is for the first that finds
   * no room; for a while those behind it may have what is too little for it.
   */
  #pump(): void {
    if (this.#closed) return;
    const looks = new Map<PooledVersion, QueueLook>();
    for (const [waiter, pooledVersion] of this.#waiting.round()) {
      const found = this.#find(pooledVersion, waiter.demand);
      if (found !== undefined) {
        waiter.serve(this.#lease(pooledVersion, found, waiter.demand));
        continue;
      }
      const look = looks.get(pooledVersion) ?? new QueueLook(pooledVersion, this.#pressure.isFull);
      looks.set(pooledVersion, look);
      const before = look.before++;
      const { starting, renewing } = pooledVersion;
      if (before < starting + renewing || starting >= mostStarts(pooledVersion)) continue;
      // Whoever has its part waits for its own calls to end, and holds nobody up.
      if (this.#rooms.holdsBack(waiter)) continue;
      if (look.waitsForBusy(waiter, before)) this.#pumpLater();
      else if (this.#waiting.isHeldUp(waiter, this.#begin(pooledVersion, waiter))) return;
    }
    if (this.#waiting.starved === null) this.#prewarmed.refill();
  }

  #pumpLater(): void {
    this.#waitTimer ??= setTimeout(() => {
      this.#waitTimer = null;
      this.#pump();
    }, WAIT_MS);
  }

  /** Begins to start an instance for a call; false when there is no room. */
  #begin(pooledVersion: PooledVersion, { demand }: Waiter): boolean {
    const started = this.#start(pooledVersion, demand);
    started?.catch((error) => {
      if (!this.#startFailed(pooledVersion, error) && !this.#closed)
        this.#options.onTrouble("a start that no call waits for any more failed", error);
    });
    return started !== null;
  }

  /** The same when no call waits; rejects with what loading it throws. */
  async #startAhead(demand: Demand): Promise<boolean> {
    if (this.#closed || this.#waiting.count > 0) return false;
    const pooledVersion = this.#pooledVersions.of(demand.version);
    const started = this.#start(pooledVersion, demand);
    await started?.catch((error) => {
      this.#startFailed(pooledVersion, error);
      throw error;
    });
    return started !== null;
  }

  /** null when there is no room; then room is being made for the first. */
  #start(pooledVersion: PooledVersion, demand: Demand): Promise<void> | null {
    const way = this.#supply.starter.reserve(pooledVersion, demand.version);
    if (way === null) {
      if (this.#waiting.starved === null) this.#supply.makeRoom(demand.version.config.memoryMiB);
      return null;
    }
    pooledVersion.starting += 1;
    this.#starting += 1;
    const start = this.#supply.starter.start(pooledVersion, demand, way);
    return this.#rooms.during(demand.version, start).then((pooled) => this.#started(pooledVersion, pooled));
  }

  #started(pooledVersion: PooledVersion, pooled: PooledInstance): void {
    pooledVersion.starting -= 1;
    this.#starting -= 1;
    this.#pooledIn.set(pooled.place, pooled);
    this.#weights.started(pooled);
    pooledVersion.instances += 1;
    pooledVersion.loading = { endedAtMs: performance.now(), tookMs: pooled.startMs };
    this.#offer(pooled);
  }

  /** Returns whether a call waited for it. */
  #startFailed(pooledVersion: PooledVersion, error: unknown): boolean {
    pooledVersion.starting -= 1;
    this.#starting -= 1;
    const [waiter] = pooledVersion.waiting;
    waiter?.fail(error);
    this.#pooledVersions.forgetIfEmpty(pooledVersion);
    this.#pump();
    return waiter !== undefined;
  }

  /**
   * Gives an instance to the call that should have it next, or puts it among the free ones of its
   * version.
   */
  #offer(pooled: PooledInstance): void {
    const pooledVersion = this.#pooledVersions.withKey(pooled.key);
    const next = nextInTurn(pooledVersion);
    pooledVersion.offeredAtMs = performance.now();
    if (!pooled.usable) this.#places.end(pooled.place, "it is no longer usable");
    else if (next !== undefined && !this.#mustMakeWay(pooledVersion))
      next.serve(this.#lease(pooledVersion, pooled, next.demand));
    else pooledVersion.free.push(pooled.madeFree());
    this.#pooledVersions.forgetIfEmpty(pooledVersion);
    this.#pump();
  }

  #mustMakeWay(pooledVersion: PooledVersion): boolean {
    return (
      spareOf(pooledVersion) > 0 &&
      this.#waiting.mustMakeWay(pooledVersion, (memoryMiB) => this.#places.willFit(memoryMiB))
    );
  }

  #takeFree(pooledVersion: PooledVersion): PooledInstance | undefined {
    for (let pooled = pooledVersion.free.pop(); pooled !== undefined; pooled = pooledVersion.free.pop()) {
      if (pooled.usable) return pooled;
      this.#places.end(pooled.place, "it is no longer usable");
    }
    return undefined;
  }

  /** An instance for a call: a free one, or one that will soon have done what it has. */
  #find(pooledVersion: PooledVersion, { mayShare }: Demand): PooledInstance | undefined {
    const free = this.#takeFree(pooledVersion);
    if (free !== undefined || !mayShare || pooledVersion.leased.size === 0) return free;
    // An instance that never becomes free could not make way for a call that has no room.
    return this.#waiting.starved === null ? nextTurn(pooledVersion) : undefined;
  }

  #lease(pooledVersion: PooledVersion, pooled: PooledInstance, { mayShare }: Demand): InstanceLease {
    if (pooled.leases === 0) {
      this.#busy += 1;
      this.#rooms.begin(pooled.tenant, pooled.place.zygote.memoryMiB);
      pooledVersion.leased.add(pooled);
    }
    return pooled.lease(mayShare, (end) => this.#leaseEnded(pooled, end));
  }

  #leaseEnded(pooled: PooledInstance, { discardedFor, tookMs }: LeaseEnd): void {
    const pooledVersion = this.#pooledVersions.withKey(pooled.key);
    if (tookMs !== null) pooledVersion.meanCallMs = nextMean(pooledVersion.meanCallMs, tookMs);
    if (discardedFor !== null) this.#places.end(pooled.place, discardedFor);
    if (pooled.leases > 0) {
      if (pooledVersion.waiting.size > 0) this.#pump();
      return;
    }
    void (pooled.isToBeRenewed ? this.#renew(pooledVersion, pooled) : this.#becameFree(pooledVersion, pooled));
  }

  /** Has a template fork for the next call, as soon as nothing is left of the last. */
  async #renew(pooledVersion: PooledVersion, pooled: PooledInstance): Promise<void> {
    pooledVersion.renewing += 1;
    this.#weights.ended(pooled);
    await pooled.renew().catch((error: Error) => this.#places.end(pooled.place, error.message));
    pooledVersion.renewing -= 1;
    this.#weights.started(pooled);
    this.#becameFree(pooledVersion, pooled);
  }

  #becameFree(pooledVersion: PooledVersion, pooled: PooledInstance): void {
    this.#busy -= 1;
    this.#rooms.end(pooled.tenant, pooled.place.zygote.memoryMiB);
    pooledVersion.leased.delete(pooled);
    this.#offer(pooled);
  }

  #gone(place: Place): void {
    const pooled = this.#pooledIn.get(place);
    this.#pooledIn.delete(place);
    this.#prewarmed.drop(place);
    if (pooled === undefined) this.#pooledVersions.removeTemplatePlace(place);
    else this.#pooledVersions.remove(pooled);
    if (pooled !== undefined) this.#weights.ended(pooled);
    pooled?.templatePlace?.left();
    if (pooled !== undefined) this.warm.lost(pooled.key);
    this.#pump();
  }

  #forget(waiter: Waiter): void {
    const wasStarved = this.#waiting.remove(waiter);
    this.#pooledVersions.forgetIfEmpty(this.#pooledVersions.of(waiter.version));
    // The call that comes next may fit where this one did not.
    if (wasStarved) queueMicrotask(() => this.#pump());
  }
}
