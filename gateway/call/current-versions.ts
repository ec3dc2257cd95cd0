/** Which version a function runs, remembered so that a call reads nothing from Redis. */
import type { Redis } from "ioredis";
import { connectionLike, PATIENT } from "../../functions/redis/connections.ts";
import {
  type FunctionRef,
  type FunctionState,
  REGISTRY_CHANGES,
  type Registry,
} from "../../functions/store/registry.ts";
import { LruMap } from "../../infra/std/lru.ts";

export interface CurrentVersion {
  version: string;
  timeoutMs: number;
  /** Whether requests below /fn/ keep that prefix in their URL. */
  keepsPrefix: boolean;
}

interface Remembered {
  /** null: there is no such function. */
  current: CurrentVersion | null;
  untilMs: number;
}

/** Changes are announced; this only bounds how long one that was never heard can do harm. */
const REMEMBER_MS = 10_000;
/** Names that nobody has are asked for by whoever likes to: Redis need not answer each time. */
const REMEMBER_UNKNOWN_MS = 2_000;
const MAX_REMEMBERED = 10_000;

export class CurrentVersions {
  readonly #registry: Registry;
  readonly #subscriber: Redis;
  readonly #remembered = new LruMap<string, Remembered>(MAX_REMEMBERED);
  /** Apart, so that made-up names displace no function. */
  readonly #unknown = new LruMap<string, Remembered>(MAX_REMEMBERED);
  /**
   * Counts what was forgotten, so that a read that began before a change is not remembered after
   * it.
   */
  #changes = 0;
  #listening = false;

  /** @param redis says where Redis is; announcements come on a connection of their own. */
  constructor(redis: Redis, registry: Registry) {
    this.#registry = registry;
    this.#subscriber = connectionLike(redis, { ...PATIENT, autoResubscribe: false });
    this.#subscriber.on("message", (_channel, name) => this.forget(name));
    this.#subscriber.on("close", () => this.#listen(false));
    this.#subscriber.on("ready", () => {
      this.#subscriber.subscribe(REGISTRY_CHANGES).then(
        () => this.#listen(true),
        () => {},
      );
    });
  }

  /**
   * The version that a function runs now; null when there is no such function. A promise only when
   * Redis is asked.
   */
  get(ref: FunctionRef): CurrentVersion | null | Promise<CurrentVersion | null> {
    const name = `${ref.tenant}/${ref.functionName}`;
    const remembered = this.#remembered.get(name) ?? this.#unknown.get(name);
    return remembered && remembered.untilMs > Date.now() ? remembered.current : this.#read(name, ref);
  }

  /** Forgets a function, given as "tenant/function", because it has changed. */
  forget(name: string): void {
    this.#changes++;
    this.#remembered.delete(name);
    this.#unknown.delete(name);
  }

  /** Forgets all functions, as any may have changed unheard. */
  forgetAll(): void {
    this.#changes++;
    this.#remembered.clear();
    this.#unknown.clear();
  }

  close(): void {
    this.#subscriber.disconnect();
  }

  async #read(name: string, ref: FunctionRef): Promise<CurrentVersion | null> {
    const before = this.#changes;
    const state = await this.#registry.getFunction(ref);
    const current = state && currentOf(state);
    if (this.#listening && before === this.#changes) this.#remember(name, current);
    return current;
  }

  #remember(name: string, current: CurrentVersion | null): void {
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

function currentOf({ version: { version, config } }: FunctionState): CurrentVersion {
  return { version, timeoutMs: config.timeoutMs, keepsPrefix: config.keepPrefix ?? false };
}
