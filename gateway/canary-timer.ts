/**
 * Has a gateway add what it counted of watched canaries to the counts of all gateways, and judge
 * them. A decision moves the alias only if it has the revision that was counted for, so that one of
 * several gateways decides, and whoever moves the alias by hand ends the watch.
 */
import type { Redis } from "ioredis";
import { PLATFORM, wholly } from "../functions/model/alias.ts";
import type { WatchCounts } from "../functions/model/canary.ts";
import { judge, type Verdict } from "../functions/model/canary-verdict.ts";
import { SandpiperError } from "../functions/model/errors.ts";
import { isRedisAway } from "../functions/redis/connections.ts";
import { moveAlias } from "../functions/store/aliases.ts";
import { countCanary, dueCanaries, type WatchRef, type WatchState } from "../functions/store/canaries.ts";
import type { Logger } from "../infra/log.ts";
import type { CurrentVersions } from "./call/current-versions.ts";

/** Time between two looks: a canary that fails is taken back so soon. */
const LOOK_MS = 1_000;

export class CanaryTimer {
  readonly #redis: Redis;
  readonly #versions: CurrentVersions;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #isBusy = false;

  /** @param versions has the calls that this gateway counted. */
  constructor(redis: Redis, versions: CurrentVersions, log: Logger) {
    this.#redis = redis;
    this.#versions = versions;
    this.#log = log;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Reports what was counted, and judges what can be. Never rejects. */
  async look(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      for (const { ref, ...counted } of this.#versions.tallies.take()) await this.#lookAt(ref, counted);
      for (const ref of await dueCanaries(this.#redis)) await this.#lookAt(ref, null);
    } catch (error) {
      // Redis's absence is told elsewhere. The calls of this moment are not counted.
      if (!isRedisAway(error) && this.#timer !== undefined) this.#log.warn("canaries are not watched", { error });
    }
    this.#isBusy = false;
  }

  async #lookAt(ref: WatchRef, counted: { revision: string; counts: WatchCounts } | null): Promise<void> {
    const state = await countCanary(this.#redis, ref, counted);
    if (state === null) return this.#versions.tallies.drop(ref);
    const { target, afterMs, ...counts } = state;
    const verdict = target.auto === undefined ? null : judge(target.auto, counts, afterMs);
    if (verdict !== null) await this.#decide(ref, state, verdict);
  }

  async #decide(ref: WatchRef, { target: { routes }, revision }: WatchState, verdict: Verdict): Promise<void> {
    const { tenant, functionName, alias } = ref;
    const [base = "", canary = ""] = routes.map(({ version }) => version);
    const { kind, message, figures } = verdict;
    const target = wholly(kind === "auto-promote" ? canary : base);
    const move = { alias, target, kind, by: PLATFORM, message, figures, expected: revision };
    try {
      await moveAlias(this.#redis, ref, move);
    } catch (error) {
      // Another move came first: there is nothing left to decide.
      if (error instanceof SandpiperError) return;
      throw error;
    }
    this.#versions.forget(`${tenant}/${functionName}`);
    this.#versions.tallies.drop(ref);
    this.#log.info("a canary was decided", { tenant, function: functionName, alias, kind, message });
  }
}
