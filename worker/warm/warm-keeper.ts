/**
 * Keeps instances of functions warm that wish for it with `minInstances`: loads their live versions
 * before anybody calls them, and again when an instance has ended. A worker that is to keep nothing
 * asks nobody for anything until it hears of a change.
 */
import { type QuotaDefaults, scopeOf } from "../../functions/model/quotas.ts";
import { Announcements } from "../../functions/redis/announcements.ts";
import { PROVISION_CHANGES, readProvisions } from "../../functions/store/provisions/provisions.ts";
import { tellWarm, type WarmState } from "../../functions/store/provisions/warm-states.ts";
import { allSettings } from "../../functions/store/quotas.ts";
import { readStops } from "../../functions/store/tenant-states.ts";
import { listWorkers } from "../../functions/store/workers.ts";
import { CallLog } from "../outcome/call-log.ts";
import { CallFailure, LoadFailure } from "../outcome/outcome.ts";
import { CheckTurns } from "../path/check-turns.ts";
import type { Parts } from "../path/context.ts";
import { writeLog } from "../path/record.ts";
import { Attempts } from "./attempts.ts";
import { fitting, partOf, type Wanted, wantedOf } from "./plan.ts";

/** How often it is looked after while something is kept. */
const LOOK_MS = 1_000;
/** Longest time to load a version. */
const LOAD_MS = 120_000;

const MOST_KEPT = "the worker keeps as much warm as it may (SANDPIPER_WARM_PERCENT)";
const NO_ROOM = "the worker has no room for more now";

export interface WarmKeeperOptions {
  workerId: string;
  parts: Pick<Parts, "redis" | "bundles" | "pool" | "onTrouble">;
  quotaDefaults: QuotaDefaults;
  /** The clock that `minInstances` goes by, in milliseconds since 1970. */
  now?: () => number;
}

/** A version's part of this worker. */
interface Kept extends Wanted {
  /** How many of its part there is room for. */
  fits: number;
}

export class WarmKeeper {
  readonly #options: WarmKeeperOptions;
  readonly #turns = new CheckTurns();
  /** By version. */
  readonly #attempts = new Map<string, Attempts>();
  #kept: readonly Kept[] = [];
  #announcements: Announcements | null = null;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | null = null;
  #isOutdated = false;
  #isClosed = false;

  constructor(options: WarmKeeperOptions) {
    this.#options = options;
  }

  /** Keeps what it should from now on. */
  start(): void {
    const { redis, pool } = this.#options.parts;
    const look = () => this.#look();
    pool.warm.onLost = () => this.#fill();
    this.#announcements = new Announcements(redis, PROVISION_CHANGES, { heard: look, listening: look });
  }

  /** Starts no more instances; those that are there are the pool's. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#announcements?.close();
    clearTimeout(this.#timer);
    await this.#looking;
    this.#options.parts.pool.warm.keep([]);
    await tellWarm(this.#options.parts.redis, this.#options.workerId, {}).catch(() => {});
  }

  /** Looks now, or again as soon as the look that there is has ended. */
  #look(): void {
    this.#isOutdated = true;
    this.#looking ??= this.#lookAll().finally(() => {
      this.#looking = null;
    });
  }

  async #lookAll(): Promise<void> {
    while (this.#isOutdated && !this.#isClosed) {
      this.#isOutdated = false;
      clearTimeout(this.#timer);
      // What was kept stays when Redis cannot be asked.
      const isAny = await this.#plan().catch(() => true);
      if (isAny && !this.#isClosed) this.#timer = setTimeout(() => this.#look(), LOOK_MS).unref();
    }
  }

  /** Finds out what is to be kept, and says what is. Returns whether anything is kept anywhere. */
  async #plan(): Promise<boolean> {
    const { parts, workerId } = this.#options;
    const { redis, pool } = parts;
    const all = await readProvisions(redis);
    const provisions = all.filter(({ versions }) => versions.some(({ minInstances }) => minInstances !== undefined));
    const wanted = provisions.length === 0 ? [] : await this.#ownPart(provisions);
    if (this.#isClosed) return false;
    const counts = fitting(wanted, pool.warm.room);
    const hadSome = this.#kept.length > 0;
    this.#kept = wanted.map((one, index) => ({ ...one, fits: counts[index] ?? 0 }));
    const keys = new Set(this.#kept.map(keyOf));
    for (const key of this.#attempts.keys()) if (!keys.has(key)) this.#attempts.delete(key);
    pool.warm.keep(this.#kept.map(({ fits, ...version }) => ({ ...version, count: fits })));
    this.#fill();
    if (hadSome || this.#kept.length > 0) await tellWarm(redis, workerId, this.#states());
    return provisions.length > 0;
  }

  /** What this worker should keep of it all. */
  async #ownPart(provisions: Awaited<ReturnType<typeof readProvisions>>): Promise<Wanted[]> {
    const { workerId, quotaDefaults, now = Date.now } = this.#options;
    const { redis, pool } = this.#options.parts;
    const facts = [listWorkers(redis), readStops(redis), allSettings(redis)] as const;
    const [workers, stops, { quotas }] = await Promise.all(facts);
    const keepers = workers.map(({ id, running, room }) => ({ id, size: running + room }));
    // Its first sign of life may be on its way.
    if (keepers.every(({ id }) => id !== workerId)) keepers.push({ id: workerId, size: pool.size });
    const active = provisions.filter(({ tenant }) => !stops.has(tenant));
    const mostOf = (tenant: string) =>
      (quotas.get(scopeOf(tenant))?.warmInstances ?? quotaDefaults.warmInstances) || Number.POSITIVE_INFINITY;
    return wantedOf(active, mostOf, now())
      .map((one) => ({ ...one, count: partOf(one, keepers, workerId) }))
      .filter(({ count }) => count > 0);
  }

  /** Begins to start what is missing. */
  #fill(): void {
    for (const kept of this.#kept) {
      const attempts = this.#attemptsOf(kept);
      if (attempts.isUnderWay || !this.#isMissing(kept) || !attempts.may(kept.fits)) continue;
      attempts.isUnderWay = true;
      void this.#turns
        .take(() => this.#startOne(kept, attempts))
        .then((hasStarted) => {
          attempts.isUnderWay = false;
          if (hasStarted) this.#fill();
        });
    }
  }

  /** Whether one more is to be started, of a version that may not be kept any more. */
  #isMissing(kept: Kept): boolean {
    const isKept = !this.#isClosed && this.#kept.some((one) => keyOf(one) === keyOf(kept));
    return isKept && this.#missing(kept) > 0;
  }

  #missing(kept: Kept): number {
    if (kept.fits === 0) return 0;
    const { ready, starting } = this.#options.parts.pool.warm.of(kept);
    return Math.max(0, kept.fits - ready - starting);
  }

  /** Returns whether one has started. */
  async #startOne(kept: Kept, attempts: Attempts): Promise<boolean> {
    const { parts } = this.#options;
    const log = new CallLog(null, (records) => writeLog(parts, kept, records));
    try {
      const demand = { ...(await parts.bundles.get(kept)), expiresAtMs: Date.now() + LOAD_MS, mayShare: false, log };
      // A call may have had one started meanwhile, or the function have moved on.
      if (!this.#isMissing(kept)) return false;
      const hasStarted = await parts.pool.warm.start(demand);
      if (hasStarted) attempts.started();
      else attempts.problem = NO_ROOM;
      return hasStarted;
    } catch (error) {
      if (!this.#isClosed) this.#failed(kept, attempts, error, log);
      return false;
    } finally {
      log.flush();
    }
  }

  /** The function's author reads why in its log, the operator that it is so. */
  #failed(kept: Kept, attempts: Attempts, error: unknown, log: CallLog): void {
    const failure = CallFailure.from(error);
    const pauseMs = attempts.failed(failure.message);
    const { tenant, functionName } = kept;
    // What its code threw is in the log already.
    const reason = failure instanceof LoadFailure ? "" : ` ${failure.message}`;
    log.say("error", `An instance that is to be kept warm could not be started.${reason}`);
    const what = `an instance of ${tenant}/${functionName} that is to be kept warm could not be started`;
    this.#options.parts.onTrouble(`${what} (${failure.code}); next attempt in ${pauseMs / 1_000} s`, failure.cause);
  }

  #attemptsOf(kept: Kept): Attempts {
    const key = keyOf(kept);
    const attempts = this.#attempts.get(key) ?? new Attempts();
    this.#attempts.set(key, attempts);
    return attempts;
  }

  #states(): Record<string, WarmState> {
    const states: Record<string, WarmState> = {};
    for (const kept of this.#kept) {
      const name = `${kept.tenant}/${kept.functionName}`;
      const ready = kept.fits === 0 ? 0 : Math.min(kept.count, this.#options.parts.pool.warm.of(kept).ready);
      const most = kept.fits < kept.count ? MOST_KEPT : null;
      const problem = this.#missing(kept) > 0 ? this.#attemptsOf(kept).problem : most;
      const { wanted, ready: before, problem: other } = states[name] ?? { wanted: 0, ready: 0, problem: null };
      states[name] = { wanted: wanted + kept.count, ready: before + ready, problem: other ?? problem };
    }
    return states;
  }
}

function keyOf({ tenant, functionName, version }: Wanted): string {
  return `${tenant}/${functionName}/${version}`;
}
