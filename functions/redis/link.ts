/**
 * Everything that a process has with one Redis: its connections, the time by Redis's clock, and
 * whether Redis is still the one that it was.
 */
import { randomUUID } from "node:crypto";
import { EventEmitter } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { RedisClock } from "./clock.ts";
import { RunOfConnection, type ServerRun } from "./server-run.ts";
import { SILENCE_LOOK_MS, SilenceWatch } from "./silence.ts";

const BEAT_MS = 1_000;
/** Time for a new connection to be answered, and for old ones to be heard after that. */
const PROBE_MS = 1_000;
const PROBE_GRACE_MS = 100;
/** A clock that is off by more is told of. */
export const MAX_SKEW_MS = 1_000;
/** How long a canary outlives its process, or an outage. */
const CANARY_MS = 60 * 60 * 1_000;

const canaryKey = (id: string): string => `sp:canary:${id}`;

/** KEYS: canary. ARGV: ms to keep it. Gives the time and how often the canary has sung. */
const BEAT = `
local count = redis.call("INCR", KEYS[1])
redis.call("PEXPIRE", KEYS[1], ARGV[1])
local time = redis.call("TIME")
return {time[1], time[2], count}`;

/** The ways in which Redis is another one than before. */
export interface RedisChange {
  /** Another process answers. Whoever waited for a call was told that the queue is away. */
  restarted: boolean;
  /**
   * Words of before are gone: Redis was flushed, or restored from a backup, or lost its file's end.
   */
  wentBack: boolean;
}

interface Events {
  change: [RedisChange];
  /** How far this machine's clock is ahead when that is too much, and 0 when it is right again. */
  skew: [aheadMs: number];
}

export class RedisLink extends EventEmitter<Events> {
  readonly clock = new RedisClock();
  readonly #root: Redis;
  readonly #watches = new Map<Redis, SilenceWatch>();
  readonly #canary = canaryKey(randomUUID());
  readonly #runOfRoot: RunOfConnection;
  #run: ServerRun | null = null;
  /** The canary's last word, and when it came, by `performance.now()`. */
  #sung = { count: 0, atMs: 0 };
  #isBeating = false;
  #isProbing = false;
  #isSkewed = false;

  constructor(root: Redis) {
    super();
    // Any number of parts may want to know.
    this.setMaxListeners(0);
    this.#root = root;
    this.#runOfRoot = new RunOfConnection(root);
    this.add(root);
    const beat = (): void => void this.#beat();
    const timers = [setInterval(() => this.#look(), SILENCE_LOOK_MS).unref(), setInterval(beat, BEAT_MS).unref()];
    root.on("ready", beat);
    root.once("end", () => {
      for (const timer of timers) clearInterval(timer);
    });
    if (root.status === "ready") beat();
  }

  /**
   * Watches over one more connection. Over a unix socket no network can be cut.
   * @param waitSeconds for how long an answer may rightly keep it waiting.
   */
  add(connection: Redis, waitSeconds = 0): void {
    links.set(connection, this);
    this.#watches.set(connection, new SilenceWatch(connection, waitSeconds));
    connection.once("end", () => this.#watches.delete(connection));
  }

  /** Whether all connections stand and answer, and Redis's clock is known. */
  get isWhole(): boolean {
    if (!this.clock.isSet) return false;
    for (const watch of this.#watches.values()) if (!watch.answers) return false;
    return true;
  }

  #look(): void {
    for (const [{ options }, watch] of this.#watches) if (!options.path) watch.look();
    void this.#probe();
  }

  /**
   * Finds out whether connections are silent because Redis is, or the network, or because the
   * network has lost them. A cut that is over may leave connections dead that nobody has ended: a
   * new one is answered then, and they need not be waited for. A Redis that stands still answers
   * the older connections first.
   */
  async #probe(): Promise<void> {
    const doubtful = [...this.#watches.values()].filter(({ isDoubtful }) => isDoubtful);
    if (this.#isProbing || doubtful.length === 0) return;
    this.#isProbing = true;
    if (await isAnsweredAnew(this.#root)) for (const watch of doubtful) watch.answeredElsewhere();
    this.#isProbing = false;
  }

  async #beat(): Promise<void> {
    if (this.#isBeating || this.#root.status !== "ready") return;
    this.#isBeating = true;
    const sentMs = performance.now();
    try {
      const [seconds, microseconds, count] = (await this.#root.eval(BEAT, 1, this.#canary, CANARY_MS)) as number[];
      const heardMs = performance.now();
      this.clock.measured(sentMs, heardMs, Number(seconds) * 1_000 + Number(microseconds) / 1_000);
      this.#compare(await this.#runOfRoot.known(), Number(count), heardMs);
      this.#tellSkew();
    } catch {
      // Away, or refusing to write: the next look asks again.
    }
    this.#isBeating = false;
  }

  #compare(run: ServerRun | null, count: number, nowMs: number): void {
    const restarted = run !== null && this.#run !== null && run.id !== this.#run.id;
    const wentBack = count <= this.#sung.count && nowMs - this.#sung.atMs < CANARY_MS;
    this.#run = run ?? this.#run;
    this.#sung = { count, atMs: nowMs };
    if (restarted || wentBack) this.emit("change", { restarted, wentBack });
  }

  #tellSkew(): void {
    const { aheadMs } = this.clock;
    const isSkewed = Math.abs(aheadMs) > MAX_SKEW_MS;
    if (isSkewed !== this.#isSkewed) this.emit("skew", isSkewed ? aheadMs : 0);
    this.#isSkewed = isSkewed;
  }
}

/** Whether Redis answers on a new connection. Never rejects. */
async function isAnsweredAnew(redis: Redis): Promise<boolean> {
  const limits = { connectTimeout: PROBE_MS, commandTimeout: PROBE_MS, maxRetriesPerRequest: 0 };
  const probe = redis.duplicate({ ...limits, lazyConnect: true, retryStrategy: () => null });
  probe.on("error", () => {});
  try {
    await probe.connect();
    await probe.ping();
    await delay(PROBE_GRACE_MS);
    return true;
  } catch {
    return false;
  } finally {
    probe.disconnect();
  }
}

const links = new WeakMap<Redis, RedisLink>();

/**
 * The link that a connection belongs to. A connection that was made by itself, and not like
 * another, begins a link; its life is the link's.
 */
export function linkOf(redis: Redis): RedisLink {
  return links.get(redis) ?? new RedisLink(redis);
}
